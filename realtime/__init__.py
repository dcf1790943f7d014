"""The wire: the OpenAI Realtime API (GA) spoken over one socket, and its mapping to and from a conversation.

    frame ── parse ──▶ client event ──▶ session ──▶ Conversation
    frame ◀── outbox ◀── server_events ◀── Event ◀──┘

This package knows JSON and the protocol's names. It knows no web framework, no Ray, no model and no stage: it
imports only `conversation` and libraries (tests/unit/test_imports.py). What is supported: docs/protocol.md.
"""
