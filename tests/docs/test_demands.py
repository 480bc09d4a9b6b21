"""What is demanded of every resource: which test holds it for which kind, as one table in docs/demands.md.

After a change here: `make docs`.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from seatrial.testing import checks

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "demands.md"
KINDS = ("postgres", "sqlite", "mysql, mariadb", "redis, valkey", "nats", "s3", "command")
NONE = "-"
"""The demand makes no sense for the kind: it has no server, no password, or no log of its own."""

LOCAL = "resources/providers/test_local.py::"
CROWDS = "resources/providers/test_crowds.py::"
SUPERVISOR = "resources/supervisor/test_supervisor.py::"
USERS = "resources/providers/test_users.py::"
PLACES = "resources/providers/test_places.py::"
PROMISES = "conformance/test_kinds.py::test_the_kind_keeps_its_promise"
"""With the check of `seatrial.testing` that holds the demand, in brackets."""
REDIS = "resources/kinds/redis/test_servers.py::"
NATS = "resources/kinds/nats/test_nats.py::"
MYSQL = "resources/kinds/mysql/test_servers.py::"
S3 = "resources/kinds/s3/test_servers.py::"
COMMAND = "resources/kinds/command/test_command.py::"
SQLITE_PLACES = "resources/kinds/sqlite/test_places.py::test_"
KILLED = "harness/killed/test_killed_runs.py::test_a_run_"
KILLED_ON_FILES = "harness/killed/test_killed_on_files.py::"

IN_RUNS = "acceptance/test_every_kind.py::"
SECOND_RUN = IN_RUNS + (
    "test_the_second_run_attaches_to_the_servers_of_the_first_and_finds_its_templates_unless_a_seed_changed"
)
EVERY = "resources/providers/test_every_kind.py::"
OTHER_SERVERS = ("mysql, mariadb", "redis, valkey", "nats", "s3", "command")
ALL_SERVERS = ("postgres", "mysql, mariadb", "redis, valkey", "nats", "s3", "command")

PROMISING = ("postgres", "sqlite", "mysql, mariadb", "redis, valkey", "nats", "s3")


def on(test: str, *kinds: str) -> dict[str, str]:
    """One test for several kinds: what they share is not their own."""
    return dict.fromkeys(kinds, test)


DEMANDS: dict[str, dict[str, str]] = {
    "no Docker": on(IN_RUNS + "test_no_docker_is_needed", *KINDS),
    "nothing to install but the package and its extra": {
        "postgres": "resources/providers/test_embedded.py::test_an_installed_wheel_serves",
        **on(PROMISES + "[a_copy_is_at_the_baseline_and_at_its_address]", "sqlite", "redis, valkey", "nats", "s3"),
        "mysql, mariadb": NONE,
        "command": NONE,
    },
    "works as an ordinary user, and under a user id without an entry": {
        "postgres": USERS + "test_an_ordinary_user_s_server",
        **on(USERS + "test_servers_of_other_kinds_run_for_an_ordinary_user", *OTHER_SERVERS),
        "sqlite": NONE,
    },
    "works as root": {
        "postgres": USERS + "test_root_s_server_runs_in_a_namespace_and_its_files_stay_root_s",
        **on(USERS + "test_servers_of_other_kinds_run_for_root_as_they_are", *OTHER_SERVERS),
        "sqlite": NONE,
    },
    "works as root where user namespaces are forbidden": {
        "postgres": USERS + "test_where_namespaces_are_not_allowed_another_user_runs_it",
        **on(NONE, "sqlite", *OTHER_SERVERS),
    },
    "where no user will do, the reasons are told": {
        "postgres": USERS + "test_where_no_other_user_can_be_had_the_reasons_are_told",
        **on(NONE, "sqlite", *OTHER_SERVERS),
    },
    "no side effect on the machine": {
        **on(EVERY + "test_a_start_has_no_side_effect_on_the_machine", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "works with a home that can't be written": {
        **on(PLACES + "test_with_a_home_that_can_t_be_written_a_server_runs_and_the_reason_is_told", *ALL_SERVERS),
        "sqlite": SQLITE_PLACES + "it_works_with_a_home_that_can_t_be_written",
    },
    "with a full disk it runs, or tells": {
        "postgres": PLACES + "test_a_disk_that_is_full_is_told",
        **on(PLACES + "test_with_next_to_no_disk_a_server_runs_or_says_so", *OTHER_SERVERS),
        "sqlite": SQLITE_PLACES + "a_disk_that_is_full_is_told_and_with_room_the_next_run_works",
    },
    "spaces, letters beyond ASCII and great length in a path": {
        "postgres": PLACES + "test_a_server_runs_whatever_the_paths_of_cache_and_project_are",
        **on(EVERY + "test_a_server_runs_whatever_the_paths_of_its_cache_and_project_are", *OTHER_SERVERS),
        "sqlite": SQLITE_PLACES + "it_works_whatever_the_paths_of_cache_and_project_are",
    },
    "one server for all workers, or one for each": {
        "postgres": "acceptance/test_start.py::test_four_workers_share_one_postgresql_and_the_next_run_attaches_to_it",
        "redis, valkey": REDIS + "test_two_workers_have_two_servers_and_the_next_run_finds_them_warm",
        "nats": NATS + "test_another_worker_has_a_server_of_its_own_from_the_same_template",
        "mysql, mariadb": MYSQL + "test_one_server_serves_all_workers_each_with_a_database_of_its_own",
        "sqlite": NONE,
        "s3": S3 + "test_one_server_serves_all_workers_each_with_a_bucket_of_its_own",
        "command": COMMAND + "test_each_worker_has_a_program_of_its_own",
    },
    "two runs at once do not disturb each other": on(
        IN_RUNS + "test_two_runs_and_another_checkout_at_once_do_not_disturb_each_other", *KINDS
    ),
    "two checkouts at once do not disturb each other": {
        **on(IN_RUNS + "test_two_runs_and_another_checkout_at_once_do_not_disturb_each_other", *ALL_SERVERS),
        "sqlite": SQLITE_PLACES + "two_checkouts_at_once_do_not_disturb_each_other",
    },
    "a second run attaches to what is warm": {
        **on(SECOND_RUN, *ALL_SERVERS),
        "sqlite": NONE,
    },
    "whoever is killed, in whatever phase: nothing is left, the next run works": {
        "postgres": KILLED + "that_is_killed_leaves_nothing_and_the_next_works",
        **on(KILLED + "on_another_kind_of_server_that_is_killed_leaves_nothing_and_the_next_works", *OTHER_SERVERS),
        "sqlite": KILLED_ON_FILES + "test_the_files_of_a_run_that_is_killed_go_with_the_next_start_which_works",
    },
    "kill -9 of the holder leaves no process after the idle time": {
        **on(SUPERVISOR + "test_a_server_whose_holder_is_killed_ends_after_the_idle_time", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "kill -9 of the supervisor leaves no process": {
        **on(SUPERVISOR + "test_a_server_dies_with_its_supervisor", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "a stale or forged pid file harms no bystander": {
        "postgres": LOCAL + "test_forged_pid_files_harm_no_bystander_and_hinder_no_start",
        **on(SUPERVISOR + "test_a_forged_state_file_harms_no_bystander", *OTHER_SERVERS),
        "sqlite": NONE,
    },
    "a child that dies while starting fails at once, with the end of its log": {
        **on(
            EVERY + "test_a_server_that_dies_while_it_starts_is_told_with_its_command_line_status_and_log",
            "mysql, mariadb",
            "nats",
        ),
        "sqlite": NONE,
        "postgres": LOCAL + "test_a_server_that_dies_while_it_starts_fails_at_once_with_the_end_of_its_log",
        "redis, valkey": REDIS + "test_a_server_that_dies_at_once_is_told_with_its_log",
        "s3": S3 + "test_a_server_that_dies_at_once_is_told_with_its_log",
        "command": COMMAND + "test_one_that_dies_while_it_starts_is_told_at_once",
    },
    "readiness is a real query": {
        **on(
            PROMISES + "[ready_is_who_answers_a_real_query]",
            "postgres",
            "mysql, mariadb",
            "redis, valkey",
            "nats",
            "s3",
        ),
        "command": COMMAND + "test_a_program_is_ready_when_it_says_so",
        "sqlite": NONE,
    },
    "a server that starts is asked every 5 to 10 ms": {
        **on(EVERY + "test_a_server_that_starts_is_asked_every_5_to_10_milliseconds_until_it_answers", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "loopback only": {
        **on(EVERY + "test_a_server_listens_on_the_loopback_interface_only", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "a random password, in no command line": {
        "mysql, mariadb": MYSQL + "test_the_password_stands_in_no_command_line_and_nobody_gets_in_without_it",
        "postgres": LOCAL + "test_no_password_is_in_a_command_line_or_a_file_of_orders",
        "redis, valkey": REDIS + "test_passwords_stand_in_no_command_line",
        "nats": NATS + "test_the_password_stands_in_no_command_line_and_is_asked_for",
        "s3": S3 + "test_the_key_stands_in_no_command_line_and_nobody_gets_in_without_it",
        **on(NONE, "sqlite", "command"),
    },
    "no password in a representation": {
        **on(PROMISES + "[a_password_is_in_no_representation]", *PROMISING),
        **on(NONE, "sqlite", "command"),
    },
    "nobody gets in without the password": {
        "redis, valkey": REDIS + "test_passwords_stand_in_no_command_line",
        "command": NONE,
        "mysql, mariadb": MYSQL + "test_the_password_stands_in_no_command_line_and_nobody_gets_in_without_it",
        "postgres": LOCAL + "test_nobody_gets_in_without_the_password",
        "nats": NATS + "test_the_password_stands_in_no_command_line_and_is_asked_for",
        "s3": S3 + "test_the_key_stands_in_no_command_line_and_nobody_gets_in_without_it",
        "sqlite": NONE,
    },
    "several resources start side by side": {
        **on("acceptance/test_start.py::test_several_resources_start_side_by_side", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "no port race: 50 that reserve at once get 50 ports": {
        **on(LOCAL + "test_fifty_projects_that_reserve_at_once_get_fifty_ports", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "no port race: 50 starts at once (of PostgreSQL, MariaDB and S3 8, 50 by night) are as many servers": {
        **on(
            CROWDS + "test_as_many_servers_run_as_are_started_at_once_and_whoever_started_one_reaches_that_one",
            *ALL_SERVERS,
        ),
        "sqlite": NONE,
    },
    "nor with another cache": {**on(LOCAL + "test_two_caches_never_share_a_port", *ALL_SERVERS), "sqlite": NONE},
    "unix socket and TCP": {
        **on(
            EVERY + "test_a_server_answers_by_its_unix_socket_and_by_tcp", "postgres", "mysql, mariadb", "redis, valkey"
        ),
        **on(NONE, "sqlite", "nats", "s3", "command"),
    },
    "socket paths under 104 bytes": {
        "postgres": PLACES + "test_a_server_runs_whatever_the_paths_of_cache_and_project_are",
        **on(
            "core/test_folders.py::test_sockets_fit_into_the_folder_however_long_the_cache_s_path_is",
            *OTHER_SERVERS,
        ),
        "sqlite": NONE,
    },
    "the environment is exported before the app is imported": on(
        IN_RUNS + "test_the_environment_is_exported_before_the_app_is_imported", *KINDS
    ),
    "a resource that no test uses never starts": on(IN_RUNS + "test_a_resource_that_no_test_uses_never_starts", *KINDS),
    "the server's log is shown when a test fails because of it": {
        **on(IN_RUNS + "test_what_the_server_logged_is_shown_with_the_test_that_failed", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "durability is off, and `durable = true` turns it on": {
        "mysql, mariadb": MYSQL + "test_durable_means_that_each_commit_is_on_the_disk",
        "postgres": LOCAL + "test_what_was_written_before_the_machine_booted_is_not_trusted_unless_it_is_durable",
        "nats": NATS + "test_durable_means_that_each_message_is_on_the_disk",
        "command": NONE,
        "sqlite": "resources/kinds/sqlite/test_store.py::test_durable_means_on_the_disk_and_not_in_memory",
        "redis, valkey": REDIS + "test_durable_means_that_each_write_is_on_the_disk",
        "s3": NONE,
    },
    "`durable = true` is refused where it can't be kept": {
        "s3": S3 + "test_a_key_that_can_not_be_met_is_told",
        **on(NONE, *(kind for kind in KINDS if kind != "s3")),
    },
    "the chain says why each provider was not taken": {
        **on("cli/test_servers.py::test_doctor_says_what_it_would_use_and_why_not_the_others", *ALL_SERVERS),
        "sqlite": NONE,
    },
    "`url`: nothing is started, and what does not bear our marker is never emptied": {
        "mysql, mariadb": MYSQL + "test_a_database_that_seatrial_has_not_made_is_refused_and_not_touched",
        "postgres": "acceptance/test_addresses.py::"
        "test_with_a_url_our_databases_are_made_beside_the_one_it_names_which_stays_as_it_is",
        "redis, valkey": REDIS + "test_a_server_of_somebody_elses_without_our_marker_is_refused_and_not_touched",
        "nats": NATS + "test_a_url_is_refused_with_the_reason",
        "command": COMMAND + "test_a_mistake_is_told_before_anything_runs",
        "s3": "resources/kinds/s3/test_store.py::"
        "test_on_a_server_of_somebody_elses_his_buckets_stay_and_ours_are_made_beside_them",
        "sqlite": NONE,
    },
    "templates are kept by the content of what fills them": on(SECOND_RUN, *KINDS),
    "a template has its name when it is whole": {
        **on(PROMISES + "[a_template_is_made_once]", *PROMISING),
        "command": NONE,
    },
    "fresh data folders are kept by their content, and have their names when they are whole": {
        **on(
            EVERY + "test_a_fresh_data_folder_is_kept_by_its_content_and_has_its_name_when_it_is_whole",
            *(kind for kind in ALL_SERVERS if kind != "command"),
        ),
        **on(NONE, "sqlite", "command"),
    },
    "caches are cleaned by age and size": on(
        "cli/test_by_hand.py::test_clean_deletes_by_age_and_size_and_nothing_that_is_in_use",
        *KINDS,
    ),
    "time-outs are immune to a clock that stands still": {
        **on(EVERY + "test_a_server_starts_and_is_waited_for_no_longer_while_the_clock_stands_still", *ALL_SERVERS),
        "s3": S3 + "test_a_server_starts_and_a_test_is_undone_while_the_clock_stands_still",
        "sqlite": NONE,
    },
}
OPENING = """# What is demanded of every resource

Each line is held by the test that the table names, below `tests/`. Where one test stands in several columns, the part
of Seatrial that keeps the promise is shared by these kinds. An empty cell is a gap: nobody has tested it there. A dash
says that the line makes no sense for that kind. What leads to `tests/conformance` is a check of `seatrial.testing`, which
is there for kinds of others, too. This page is made by `make docs`.
"""


def test_the_page_has_every_demand():
    page = OPENING + "".join(lines())
    if os.environ.get("SEATRIAL_WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "the demands have changed: run `make docs`"


@pytest.mark.parametrize("demand", DEMANDS)
def test_the_tests_that_hold_a_demand_exist_and_run(demand):
    """And by no marker are they left out of `make test`."""
    for where in set(DEMANDS[demand].values()) - {NONE}:
        file, _, name = where.partition("::")
        name, _, check = name.rstrip("]").partition("[")
        assert not check or check in {check.__name__ for check in checks()}
        tree = ast.parse((ROOT / "tests" / file).read_text())
        [test] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        assert not any("nightly" in ast.unparse(mark) for mark in test.decorator_list), where
    assert set(DEMANDS[demand]) <= set(KINDS)


def lines():
    yield f"\n| demand | {' | '.join(KINDS)} |\n|{'---|' * (len(KINDS) + 1)}\n"
    for demand, held in DEMANDS.items():
        yield f"| {demand} | {' | '.join(cell(held.get(kind, '')) for kind in KINDS)} |\n"


def cell(where: str) -> str:
    if where in ("", NONE):
        return where
    file, _, name = where.partition("::")
    name = name.partition("[")[2].rstrip("]") or name.removeprefix("test_")
    return f"[{name.replace('_', ' ')}](../tests/{file})"
