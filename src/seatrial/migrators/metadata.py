"""A schema from SQLAlchemy: the tables of a declarative base, of a MetaData, or of SQLModel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.core.importing import import_object, shortened
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.source.models import import_models
from seatrial.migrators.source.modules import Modules
from seatrial.resources.first_state import OWN
from seatrial.resources.protocol import Target

if TYPE_CHECKING:
    from sqlalchemy import MetaData


class Metadata:
    """`create_all`, once all models are imported and their mappers configured.

    Args:
        reference: "app.database:Base".
        root: the project's root.
        scheme: of the target's address: "postgresql", "sqlite".
        driver: SQLAlchemy's name of a synchronous driver for it: "psycopg".
        note: told what the user should know.
    """

    def __init__(self, reference: str, *, root: Path, scheme: str, driver: str, note: Callable[[str], None]) -> None:
        self.label = reference
        self._root = root
        self._scheme = scheme
        self._driver = driver
        self._note = note
        self._loaded: MetaData | None = None

    def hash(self) -> str:
        """A key of the DDL that it emits, what listeners add included.

        A listener that needs a real connection can't be asked: then the source of the models is the key.
        """
        from sqlalchemy import create_mock_engine

        metadata = self._metadata()
        emitted: list[str] = []

        def collect(statement: Any, *values: object, **_options: object) -> None:
            compiled = statement.compile(dialect=engine.dialect)
            parameters = getattr(compiled, "params", None)
            emitted.append(f"{compiled} {parameters or ''} {[value for value in values if value]}")

        engine = create_mock_engine(f"{self._scheme}+{self._driver}://", collect)
        try:
            metadata.create_all(engine, checkfirst=False)
        except Exception:  # noqa: BLE001 - a listener of the project's, or a construct that only a connection can compile
            tables = {mapper.class_.__module__ for mapper in _mappers()}
            sources = Modules(self._root).closure([self.label.partition(":")[0], *tables])
            return content.of_files(sources.values(), self._root)
        # The indexes of a table are a set: their order differs from process to process.
        return content.key(self._scheme, *sorted(emitted))

    def migrate(self, target: Target) -> None:
        """Create the schemas that tables name, and the tables."""
        from sqlalchemy import NullPool, create_engine, inspect
        from sqlalchemy.schema import CreateSchema

        metadata = self._metadata()
        engine = create_engine(target.address.url(self._driver), poolclass=NullPool, execution_options={OWN: True})
        try:
            with engine.begin() as connection:
                for schema in sorted(_schemas(metadata) - {*inspect(connection).get_schema_names()}):
                    connection.execute(CreateSchema(schema, if_not_exists=True))
                metadata.create_all(connection)
        except Exception as error:
            cause = getattr(error, "orig", None) or error
            raise TemplateError(
                f"the tables of {self.label} could not be created",
                cause=redact(f"{type(cause).__name__}: {cause}".strip(), target.address.password),
                fix="mend the model that the error names; an extension of the server goes to the key `extensions`",
            ) from error
        finally:
            engine.dispose()

    def _metadata(self) -> MetaData:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> MetaData:
        owner = import_object(self.label, self._root)
        from sqlalchemy import MetaData
        from sqlalchemy.orm import configure_mappers

        metadata = owner if isinstance(owner, MetaData) else getattr(owner, "metadata", None)
        if not isinstance(metadata, MetaData):
            raise ConfigError(
                f'"{self.label}" has no tables: it is a {type(owner).__name__}',
                cause="a declarative base, a MetaData, a registry or SQLModel was expected",
                fix='name the base class of the models, as in schema = "app.database:Base"',
            )
        missed: list[str] = []
        import_models(self.label, owner, self._root, missed.append)
        for text in missed:
            self._note(text)
        try:
            configure_mappers()
        except Exception as error:
            raise TemplateError(
                f"the models of {self.label} do not fit together",
                cause="\n".join([shortened(error, self._root), *missed]),
                fix="mend the model that the error names",
            ) from error
        if not metadata.tables:
            raise TemplateError(
                f'the schema "{self.label}" has no tables',
                cause="; ".join(missed) or "no module of the project that could be found defines a model on it",
                fix='are the models imported? name a module that does it, as in schema = "app.models:Base"',
            )
        return metadata


def _schemas(metadata: MetaData) -> set[str]:
    """The named schemas of tables, and of the types and sequences in them."""
    named: list[Any] = [*metadata.tables.values(), *metadata._sequences.values()]  # noqa: SLF001 - no public list
    named += [column.type for table in metadata.tables.values() for column in table.columns]
    return {schema for schema in (getattr(each, "schema", None) for each in named) if isinstance(schema, str)}


def _mappers() -> list[Any]:
    from sqlalchemy.orm.mapper import _all_registries

    return [mapper for registry in _all_registries() for mapper in registry.mappers]
