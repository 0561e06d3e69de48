"""What the service says of itself to programs: an OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

from skraee.serve.limits import Limits
from skraee.serve.model import Model
from skraee.serve.questions import example

Json = dict[str, Any]

#: Status -> what it means, of every path that takes texts.
REFUSALS = {
    400: "The body is no JSON.",
    401: "The token is missing or wrong.",
    408: "The body did not come in time.",
    413: "The body, a text or the number of texts is too large.",
    415: "The body is compressed, or its type is not application/json.",
    422: "The JSON is not of this form.",
    429: "Too many texts wait; Retry-After says when to come again.",
    500: "The model failed.",
    501: "This kind of model explains nothing.",
    503: "The model did not come to it in time, or is not loaded yet.",
}

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}

_SECURITY: Json = {"bearer": {"type": "http", "scheme": "bearer"}}


def question(model: Model, limits: Limits, most: int) -> Json:
    """Return what a route that takes texts says of the body that it wants."""
    text: Json = {"type": "string", "maxLength": limits.max_length}
    if len(model.fields) > 1:
        text = {
            "type": "object",
            "required": list(model.fields),
            "additionalProperties": False,
            "properties": {name: {"type": "string"} for name in model.fields},
        }
    texts = {"type": "array", "minItems": 1, "maxItems": most, "items": text}
    schema = {
        "type": "object",
        "required": ["texts"],
        "additionalProperties": False,
        "properties": {"texts": texts},
    }
    content = {"schema": schema, "example": json.loads(example(model.fields))}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def answers(model: Model) -> dict[int | str, Json]:
    """Return what ``/predict`` says of its answers."""
    label = _label(model)
    schema = _object(
        classes=_list(label),
        labels=_list(label),
        probabilities=_list(_list({"type": "number"})),
        exit_layers=_list({"type": "integer", "minimum": 0, "maximum": model.n_layers}),
    )
    return _with_refusals("The answers, in the order of the texts.", schema, {501})


def explanations() -> dict[int | str, Json]:
    """Return what ``/explain`` says of its answers."""
    schema = _object(explanations=_list({"type": "object"}))
    return _with_refusals("Why each text got its answer.", schema, set())


def with_token(document: Json) -> Json:
    """Add to a document that requests may need a token."""
    parts = document.setdefault("components", {})
    return {
        **document,
        "components": {**parts, "securitySchemes": _SECURITY},
        "security": [{"bearer": []}],
    }


def _label(model: Model) -> Json:
    kinds = {type(name) for name in model.classes}
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    found = sorted({names[kind] for kind in kinds if kind in names})
    return {"type": found[0]} if len(found) == len(kinds) == 1 else {}


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": [*properties], "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _with_refusals(
    about: str, schema: Json, without: set[int]
) -> dict[int | str, Json]:
    found: dict[int | str, Json] = {200: _response(about, schema)}
    for status, meaning in REFUSALS.items():
        if status not in without:
            found[status] = _response(meaning, _ERROR)
    return found


def _response(about: str, schema: Json) -> Json:
    return {"description": about, "content": {"application/json": {"schema": schema}}}
