"""Script that Alembic executes to run the revisions on the connection passed by `migrate`."""

from alembic import context

from glam_node.node.db.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
