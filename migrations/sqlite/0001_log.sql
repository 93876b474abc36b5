-- The log of the configuration, what it amounts to today, and what the replicas tell each other.
-- The log is the truth: `resource` is its fold at `head`, written in the same transaction.
-- The same tables for Postgres stand beside this file; a test compares the columns.

-- One row. Its lock is the one lock of a write; a revision is given out here, so that they become visible in order and
-- without gaps (a sequence would do neither).
create table head (
    only_row integer not null,
    epoch    text    not null,
    revision integer not null,
    chain    text    not null,
    constraint head_pkey primary key (only_row),
    constraint head_only_row check (only_row = 1)
) strict;

create table revision (
    revision   integer not null,
    chain      text    not null,
    change_id  text    not null,
    actor      text    not null,
    address    text,
    request_id text,
    message    text,
    at         integer not null,
    constraint revision_pkey primary key (revision),
    constraint revision_change_id unique (change_id)
) strict;

create table change (
    revision    integer not null,
    ordinal     integer not null,
    workspace   text    not null,
    kind        text    not null,
    id          text    not null,
    name_before text,
    name_after  text,
    before      text,
    after       text,
    constraint change_pkey primary key (revision, ordinal),
    constraint change_revision foreign key (revision) references revision (revision),
    constraint change_changes check (before is not null or after is not null)
) strict;

create index change_resource on change (workspace, kind, id, revision);

create table resource (
    workspace  text    not null,
    kind       text    not null,
    id         text    not null,
    name       text,
    document   text    not null,
    revision   integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint resource_pkey primary key (workspace, kind, id),
    constraint resource_name unique (workspace, kind, name)
) strict;

-- How far each node is, as the replica it is connected to last heard.
create table node_position (
    workspace         text    not null,
    node_id           text    not null,
    replica           text    not null,
    session           text    not null,
    epoch             text    not null,
    identity_revision integer not null,
    traffic_revision  integer not null,
    version           text    not null,
    address           text    not null,
    labels            text    not null,
    problems          text    not null,
    last_seen         integer not null,
    constraint node_position_pkey primary key (workspace, node_id)
) strict;

-- What all replicas must agree on; the first to write it decides.
create table cluster_fact (
    name  text not null,
    value blob not null,
    constraint cluster_fact_pkey primary key (name)
) strict;
