"""Rooms, and bookings that may not overlap."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create extension if not exists btree_gist")
    op.create_table(
        "rooms",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("seats", sa.Integer, sa.CheckConstraint("seats > 0"), nullable=False),
    )
    op.create_table(
        "bookings",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("room_id", sa.Integer, sa.ForeignKey("rooms.id", ondelete="CASCADE"), nullable=False),
        sa.Column("who", sa.String(50), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("begins < ends", name="ck_bookings_order"),
    )
    op.execute(
        "alter table bookings add constraint ex_bookings_overlap"
        " exclude using gist (room_id with =, tstzrange(begins, ends) with &&)"
    )


def downgrade() -> None:
    op.drop_table("bookings")
    op.drop_table("rooms")
