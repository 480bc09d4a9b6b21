"""Suites written for other tools run unchanged, with the real packages and without a Docker."""

from __future__ import annotations

import pytest

CONFIG = """
    [tool.seatrial]
    adapt = ["testcontainers", "pytest-postgresql", "pytest-databases"]
"""

CONTAINERS = """
    import psycopg
    import pytest
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.redis import AsyncRedisContainer, RedisContainer
    from testcontainers.core.container import DockerContainer


    @pytest.fixture(scope="module")
    def postgres():
        with PostgresContainer("postgres:16", username="shop", password="p/w", dbname="orders", driver=None) as container:
            yield container


    def test_a_container_has_the_user_and_the_database_that_it_asked_for(postgres):
        with psycopg.connect(postgres.get_connection_url()) as connection:
            assert connection.execute("select current_user, current_database()").fetchone() == ("shop", "orders")
            connection.execute("create table kept (id int)")


    def test_two_containers_at_once_are_two_servers(postgres):
        with PostgresContainer(driver=None) as other:
            assert other.get_exposed_port(5432) != postgres.get_exposed_port(5432)
            with psycopg.connect(other.get_connection_url()) as connection:
                assert connection.info.user == connection.info.dbname == "test"
                assert connection.execute("select to_regclass('kept')").fetchone() == (None,)
        with psycopg.connect(postgres.get_connection_url()) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)


    def test_what_takes_a_real_container_says_so(postgres):
        with pytest.raises(Exception, match="there is no container, and no shell in it"):
            postgres.exec("ls")


    @pytest.mark.parametrize("attempt", [1, 2])
    @pytest.mark.parametrize("password", [None, "p/w"])
    def test_a_redis_is_empty_and_takes_the_password_that_it_was_given(password, attempt):
        with RedisContainer("redis:7", password=password) as redis:
            client = redis.get_client(decode_responses=True)
            assert (client.incr("visits"), client.keys("*")) == (1, ["visits"])
            other = RedisContainer.get_client.__globals__["redis"].Redis(
                host=redis.get_container_host_ip(), port=redis.get_exposed_port(6379), password="wrong"
            )
            if password:
                with pytest.raises(Exception, match="WRONGPASS|invalid"):
                    other.ping()


    def test_an_async_redis():
        import asyncio

        async def ask(redis):
            client = await redis.get_async_client()
            assert await client.ping()
            await client.aclose()

        with AsyncRedisContainer() as redis:
            asyncio.run(ask(redis))


    def test_another_container_still_asks_docker():
        with pytest.raises(Exception, match="(?i)docker|connection"):
            DockerContainer("hello-world").start()
"""

PROCESSES = """
    from pathlib import Path

    from pytest_postgresql import factories

    orders_proc = factories.postgresql_proc(port=None, user="shop", dbname="orders", load=[Path(__file__).with_name("tables.sql")])
    orders = factories.postgresql("orders_proc")


    def test_the_template_is_loaded(orders):
        assert orders.execute("select name from items").fetchall() == [("lamp",)]
        orders.execute("delete from items")
        orders.commit()


    def test_each_test_has_a_database_of_its_own(orders, orders_proc):
        assert orders.execute("select count(*) from items").fetchone() == (1,)
        assert orders.info.user == "shop"
        assert orders_proc.running()


    def test_the_fixtures_of_the_plugin_itself(postgresql):
        assert postgresql.execute("select 1").fetchone() == (1,)
"""

DATABASES = """
    pytest_plugins = ["pytest_databases.docker.postgres"]
"""

SERVICES = """
    import psycopg


    def test_a_service_is_there_with_its_database(postgres_service, postgres_connection):
        assert postgres_service.user == "postgres"
        name = postgres_connection.execute("select current_database()").fetchone()
        assert name == (postgres_service.database,) == ("pytest_databases",)
        with psycopg.connect(
            host=postgres_service.host, port=postgres_service.port, user=postgres_service.user,
            password=postgres_service.password, dbname=postgres_service.database,
        ) as connection:
            connection.execute("create table t (id int)")
"""

PLUGINS = ("-p", "pytest_postgresql.plugin", "-p", "pytest_databases._service")


@pytest.fixture
def suites(project):
    return project.write(
        {
            "pyproject.toml": CONFIG,
            "conftest.py": DATABASES,
            "tables.sql": "create table items (name text); insert into items values ('lamp');",
            "test_containers.py": CONTAINERS,
            "test_processes.py": PROCESSES,
            "test_services.py": SERVICES,
        }
    )


def test_testcontainers_pytest_postgresql_and_pytest_databases_are_answered_without_docker(suites):
    outcome = suites.pytest("-q", *PLUGINS, DOCKER_HOST="tcp://127.0.0.1:1")
    assert outcome.counts() == {"passed": 13}, outcome.text


def test_the_header_names_each_change(suites):
    outcome = suites.pytest("--collect-only", *PLUGINS)
    for line in (
        "patch: testcontainers: PostgresContainer and RedisContainer are servers of ours",
        "patch: pytest-postgresql: postgresql_proc is a server of ours",
        "patch: pytest-databases: postgres_service is a server of ours",
    ):
        assert line in outcome.text, outcome.text
