-- When credentials were used last, so that keys nobody uses are found. Not configuration: nodes tell it, the log has none of it.
-- The same table for Postgres stands beside this file; a test compares the columns.

create table credential_use (
    workspace  text    not null,
    credential text    not null,
    hour       integer not null,
    constraint credential_use_pkey primary key (workspace, credential)
) strict;
