"""What lies around a database: its settings, its roles, and what sessions have left in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.postgres.audit.reading import ask

if TYPE_CHECKING:
    import psycopg

FIRST_WITH_PARAMETER_RIGHTS = 150000

Values = dict[tuple[str, str], str]

_DATABASE = """
select 'database', d.datname,
       (to_jsonb(d) - array['oid', 'datname', 'datdba', 'datfrozenxid', 'datminmxid', 'datlastsysoid']
        || jsonb_build_object('owner', pg_get_userbyid(d.datdba)))::text
  from pg_database d
 where d.datname = current_database()
union all
select 'setting', concat('database ', d.datname, coalesce(' for role ' || pg_get_userbyid(nullif(s.setrole, 0)), '')),
       s.setconfig::text
  from pg_db_role_setting s
  join pg_database d on d.oid = s.setdatabase
 where d.datname = current_database()
union all
select 'comment', concat('database ', datname),
       case when shobj_description(oid, 'pg_database') like '{"seatrial":%%' then 'our marker'
       else shobj_description(oid, 'pg_database') end
  from pg_database
 where datname = current_database() and shobj_description(oid, 'pg_database') is not null
union all
select 'subscription', s.subname, concat(s.subenabled, ' ', s.subpublications)
  from pg_subscription s
 where s.subdbid = (select oid from pg_database where datname = current_database())
union all
select 'replication slot', slot_name, concat(plugin, ' ', slot_type)
  from pg_replication_slots
 where database = current_database() and not temporary
"""

_ROLES = """
select 'role', r.rolname, (to_jsonb(r) - array['oid', 'rolname', 'rolpassword', 'rolconfig'])::text
  from pg_roles r where {chosen}
union all
select 'membership', concat(pg_get_userbyid(m.member), ' in ', pg_get_userbyid(m.roleid)),
       (to_jsonb(m) - array['oid', 'roleid', 'member', 'grantor']
        || jsonb_build_object('grantor', pg_get_userbyid(m.grantor)))::text
  from pg_auth_members m
  join pg_roles r on r.oid in (m.roleid, m.member)
 where {chosen}
union all
select 'setting', concat('role ', r.rolname), s.setconfig::text
  from pg_db_role_setting s
  join pg_roles r on r.oid = s.setrole
 where s.setdatabase = 0 and {chosen}
"""
_COMMENTS = """
select 'comment', concat('role ', r.rolname), shobj_description(r.oid, 'pg_authid')
  from pg_roles r where {chosen} and shobj_description(r.oid, 'pg_authid') is not null
"""
_SERVER = """
select 'tablespace', spcname, concat(pg_get_userbyid(spcowner), ' ', spcacl, ' ', spcoptions) from pg_tablespace
union all
select 'replication slot', slot_name, slot_type from pg_replication_slots where database is null and not temporary
"""
_PARAMETERS = "select 'parameter', parname, paracl::text from pg_parameter_acl"
_PASSWORDS = "select 'password', r.rolname, coalesce(md5(r.rolpassword), 'none') from pg_authid r where {chosen}"

_LEFT = """
select 'prepared transaction', gid, concat('of ', owner) from pg_prepared_xacts where database = current_database()
union all
select 'temporary object', format('%I.%I', n.nspname, c.relname), concat('relation of kind ', c.relkind)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname ~ '^pg_temp_' and c.relkind in ('r', 'v', 'S', 'p', 'f')
union all
select 'advisory lock', concat(l.classid, ',', l.objid, ',', l.objsubid),
       concat(l.mode, ' of ', coalesce(a.application_name, ''), ' (pid ', l.pid, '): ', a.query)
  from pg_locks l
  left join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
union all
select 'open transaction', concat('pid ', pid),
       concat(state, ' (', application_name, '): ', query)
  from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
   and xact_start is not null
"""


def around(connection: psycopg.Connection[Any], roles: Sequence[str] | None) -> Values:
    """The database's own settings, and the roles that this lease owns (None: it owns the whole server)."""
    chosen = "true" if roles is None else "r.rolname = any(%(roles)s)"
    queries = [_DATABASE, _ROLES.format(chosen=chosen), _COMMENTS.format(chosen=chosen)]
    if ask(connection, "select has_table_privilege('pg_authid', 'select')")[0][0]:
        queries.append(_PASSWORDS.format(chosen=chosen))
    if roles is None:
        queries.append(_SERVER)
        if connection.info.server_version >= FIRST_WITH_PARAMETER_RIGHTS:
            queries.append(_PARAMETERS)
    return _collect(ask(connection, " union all ".join(queries), {"roles": list(roles or ())}))


def left_behind(connection: psycopg.Connection[Any]) -> Values:
    """What sessions still hold at this moment. LISTEN registrations of other sessions can't be seen."""
    return _collect(ask(connection, _LEFT))


def _collect(rows: Sequence[tuple[Any, ...]]) -> Values:
    """By kind and name. Two that share both are one, with both values: nothing is lost."""
    found: Values = {}
    for kind, name, value in sorted(rows):
        found[kind, name] = f"{found[kind, name]}; {value}" if (kind, name) in found else value
    return found
