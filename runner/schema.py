"""The JSON Schemas that editors check YAML files by: of a configuration, and of a group's choices.

Keys, types and bounds are those of `runner.config`; names and parameters those of the files in
``conf/``.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from runner.choices import CONF
from runner.config import MISSING, Choice, Config

Schema = dict[str, Any]

OWN = r"^[^:\s]+:[^:\s]+$"  # module:function
DEFAULTS: Schema = {
    "description": "Hydra's defaults list: the choices that this builds on",
    "type": "array",
    "items": {"type": ["string", "object"]},
}
LIMITS = {
    "minimum": "minimum",
    "above": "exclusiveMinimum",
    "maximum": "maximum",
    "below": "exclusiveMaximum",
}
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(name: str = "config") -> Schema:
    """Return the JSON Schema (2020-12) of a configuration, of the files of a group, or of presets.

    ``hydra`` names the presets of launchers and sweepers, whose keys are Hydra's.
    """
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if name == "config":
        return {**about, "title": "runner configuration", **configuration()}
    if name == "hydra":
        title = "preset of a launcher or sweeper"
        keys = {"properties": {"defaults": DEFAULTS}, "required": ["defaults"]}
        return {**about, "title": title, "type": "object", **keys}
    schema = choice(name)
    if name == "task":  # which may set whatever else it needs
        schema = {"anyOf": [schema, {**configuration(), "required": ["task"]}]}
    return {**about, "title": f"choice of {name}", **schema}


def dumps(schema: Schema) -> str:
    """Return a schema as text."""
    return json.dumps(schema, indent=2, ensure_ascii=False)


def configuration() -> Schema:
    """Return the schema of a whole configuration, as an experiment has it."""
    schema = object_schema(Config)
    schema["properties"] |= {
        "defaults": DEFAULTS,
        "hydra": {"description": "keys of Hydra's own", "type": "object"},
    }
    return schema


def choice(group: str) -> Schema:
    """Return the schema of a group's files, with the names and parameters that there are."""
    kind = get_type_hints(Config)[group]
    schema = object_schema(kind)
    schema["properties"]["defaults"] = DEFAULTS
    if not issubclass(kind, Choice):
        return schema
    nodes = {node["name"]: node.get("params") or {} for node in choices(group)}
    name = schema["properties"]["name"]
    del name["type"]
    name["anyOf"] = [{"enum": sorted(nodes)}, {"type": "string", "pattern": OWN}]
    schema["required"] = ["name"]
    if group != "weights":  # whose parameters are W1, b1, W2, ...
        schema["allOf"] = [
            {
                "if": {"properties": {"name": {"const": name}}},
                "then": {"properties": {"params": parameters(params)}},
            }
            for name, params in sorted(nodes.items())
        ]
    return schema


def choices(group: str) -> Iterator[dict[str, Any]]:
    """Yield what the files of a group set of it."""
    for path in sorted(Path(CONF, group).glob("*.yaml")):
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield node.get(group, node)


def parameters(params: Mapping[str, Any]) -> Schema:
    """Return the schema of parameters by the values that they have in ``conf/``."""
    return {"properties": dict(map(parameter, params.items())), "additionalProperties": False}


def parameter(item: tuple[str, Any]) -> tuple[str, Schema]:
    """Return the name and schema of a parameter; of one that is null or left open, of any kind."""
    name, value = item
    if value == MISSING:
        return name, {}
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    kind = {"type": kinds[type(value)]} if type(value) in kinds else {}
    return name, {**kind, "default": value}


def object_schema(kind: type) -> Schema:
    """Return the schema of a dataclass of the configuration."""
    types = get_type_hints(kind)
    properties = {
        item.name: {
            "description": description(item.metadata),
            **type_schema(types[item.name], item.metadata),
            **default(item),
        }
        for item in fields(kind)
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def description(about: Mapping[str, Any]) -> str:
    """Return what a key says, with its unit."""
    unit = f" [{about['unit']}]" if "unit" in about else ""
    return str(about["about"]) + unit


def default(item: "dataclasses.Field[Any]") -> Schema:
    """Return what a key is unless given, if it is anything."""
    if item.default is not dataclasses.MISSING:
        return {} if item.default == MISSING else {"default": item.default}
    value = item.default_factory() if item.default_factory is not dataclasses.MISSING else None
    return {} if dataclasses.is_dataclass(value) else {"default": value}


def type_schema(kind: Any, about: Mapping[str, Any]) -> Schema:
    """Return the schema of a key of a type, with its bounds."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return object_schema(kind)
    if get_origin(kind) is list:
        return {"type": "array", "items": type_schema(get_args(kind)[0], about)}
    if get_origin(kind) is dict:
        return {"type": "object"}
    if type(None) in get_args(kind):
        inner = next(arg for arg in get_args(kind) if arg is not type(None))
        return {"anyOf": [type_schema(inner, about), {"type": "null"}]}
    schema: Schema = {"type": TYPES[kind]} if kind in TYPES else {}
    if kind in (int, float):
        schema |= {word: about[name] for name, word in LIMITS.items() if name in about}
    if "choices" in about:
        schema["enum"] = list(about["choices"])
    return schema
