"""The codes of errors, and when each comes: what docs/protocol.md says of them."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "invalid_json": "the frame is not JSON",
    "invalid_event": "a binary frame, no object, too deep, too many values",
    "missing_required_parameter": "",
    "unknown_parameter": "a field that the protocol does not have there",
    "invalid_type": "text where a number belongs, and the like",
    "invalid_value": "not a value of the protocol; bad base64; in `response.input`, a reference to no item",
    "unsupported_value": "a value of the protocol that this server cannot serve yet",
    "integer_below_min_value": "",
    "integer_above_max_value": "",
    "decimal_below_min_value": "",
    "decimal_above_max_value": "",
    "string_below_min_length": "",
    "string_above_max_length": "",
    "array_above_max_length": "",
    "object_above_max_length": "",
    "invalid_api_key": "no key, or none of this server's; close 3000 follows",
    "cannot_update_voice": "the voice changed after the assistant was heard",
    "input_audio_buffer_commit_empty": "less than 100 ms to commit",
    "conversation_already_has_active_response": "of the conversation; beside it, see `too_many_responses`",
    "response_cancel_not_active": "no response, or none with this id, is in progress",
    "too_many_responses": "four out of band are in progress",
    "item_create_duplicate_item_id": "",
    "item_create_invalid_previous_item_id": "`previous_item_id` names no item",
    "item_retrieve_invalid_item_id": "",
    "item_delete_invalid_item_id": "",
    "item_truncate_invalid_item_id": "",
    "session_expired": "the session has lasted as long as it may; close 1001 follows",
}
