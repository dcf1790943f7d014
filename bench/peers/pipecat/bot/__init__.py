"""A Pipecat server over this project's models, set up as its documentation advises; see docs/adr/0022.

services.py      the models as services of Pipecat
conversation.py  one client's pipeline
__main__.py      the program: models loaded once, a pipeline for each connection
"""
