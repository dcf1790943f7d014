"""Pipecat: the bot that is measured, the server it runs in, and the wire on which a client speaks to it.

bot/       the program, for its own environment (.venv-peers/pipecat); nothing here imports it
server.py  starts that program
wire.py    the client's side
"""
