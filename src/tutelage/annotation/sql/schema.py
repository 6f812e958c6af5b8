"""The tables, for queries. What makes and changes them is :mod:`tutelage.annotation.sql.migrations`.

Records are kept as their JSON, in columns of text: both databases keep it as it was, and nobody queries inside it.
Times are seconds since 1970. ``items.wanted`` is how many more people are to be asked: the overlap less those who work
on the item or have submitted; it is kept in the item's own row so that a lock on that row guards it.
"""

from sqlalchemy import Column, Double, ForeignKey, Integer, MetaData, Table, Text, UniqueConstraint

TABLES = MetaData()

versions = Table(
    "tutelage_versions", TABLES, Column("version", Integer, primary_key=True), Column("applied_at", Double)
)

projects = Table(
    "projects",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("work", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("overlap", Integer, nullable=False),
    Column("lease_s", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

guidelines = Table(
    "guidelines",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("project_id", "revision"),
)

items = Table(
    "items",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("wanted", Integer, nullable=False),
    UniqueConstraint("project_id", "name"),
)

annotators = Table(
    "annotators",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", Text, unique=True),
    UniqueConstraint("project_id", "name"),
    UniqueConstraint("project_id", "number"),
)

assignments = Table(
    "assignments",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), nullable=False),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), nullable=False),
    Column("state", Text, nullable=False),  # open, submitted, skipped, expired
    Column("revision", Integer, nullable=False),
    Column("draft", Text),
    Column("note", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    UniqueConstraint("item_id", "annotator_id"),
)

judgments = Table(
    "judgments",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), nullable=False),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("base", Integer, nullable=False),  # the revision that it was written from
    Column("response", Text, nullable=False),
    Column("seconds", Double),
    Column("guidelines_revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("item_id", "annotator_id", "number"),
)
