"""Writes what deploy/kuberay/rayservice.yaml takes from other files, between its markers.

`python -m deploy.rayservice` rewrites it; `--check` only says whether it is outdated. It takes
serve_config.yaml, without the comments and with what pods need otherwise, and deployments/serve.env.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

from deployments.local_ray import ROOT, serve_environment

FILE = ROOT / "deploy/kuberay/rayservice.yaml"


def serve_config() -> dict[str, Any]:
    """serve_config.yaml, as a RayService has it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    # Pods reach each other's replicas, and the gateway reaches them all; the network policy keeps others out.
    config["http_options"]["host"] = "0.0.0.0"
    for application in config["applications"]:
        if "cluster" in application["args"]:
            application["args"]["cluster"]["grows"] = True  # KubeRay adds pods as they are asked for
    return config


def environment() -> dict[str, str]:
    """serve.env, without what the operator says itself: it gives every pod a token for Ray."""
    return {name: value for name, value in serve_environment().items() if name != "RAY_AUTH_MODE"}


def written(text: str) -> str:
    """`text` of the file with its blocks as they should be."""
    blocks = {
        "serve_config.yaml": "serveConfigV2: |\n" + textwrap.indent(_yaml(serve_config()), "  "),
        "serve.env": "data:\n" + textwrap.indent(_yaml(environment()), "  "),
    }
    for name, block in blocks.items():
        marked = re.compile(
            rf"^( *)(# --- from {re.escape(name)}[^\n]*\n).*?^ *# --- end of it$", re.MULTILINE | re.DOTALL
        )
        found = marked.search(text)
        assert found is not None, f"{FILE}: the markers of {name} are gone"
        indent, first = found[1], found[2]
        new = f"{indent}{first}{textwrap.indent(block, indent)}{indent}# --- end of it"
        text = text[: found.start()] + new + text[found.end() :]
    return text


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)


def main(file: Path = FILE) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.rayservice", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    old = file.read_text()
    new = written(old)
    if check and new != old:
        sys.stderr.write(f"{file} is outdated: python -m deploy.rayservice\n")
        return 1
    if new != old:
        file.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
