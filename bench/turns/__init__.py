"""Turn-taking, measured over a labelled set: when the agent takes the turn, and what makes it give it up.

    python -m bench.turns

items.py says what is played and what it is, play.py plays it, lost.py looks for samples that a hold loses,
scores.py makes numbers of it.
"""
