"""The same cases under pytest-asyncio, with a loop of each scope."""

PYTEST_ASYNCIO = """
    import pytest
    from cases import Cases

    @pytest.mark.asyncio
    class TestALoopForEachTest(Cases):
        pass

    @pytest.mark.asyncio(loop_scope="class")
    class TestALoopForEachClass(Cases):
        pass

    @pytest.mark.asyncio(loop_scope="module")
    class TestALoopForTheModule(Cases):
        pass

    @pytest.mark.asyncio(loop_scope="package")
    class TestALoopForThePackage(Cases):
        pass

    @pytest.mark.asyncio(loop_scope="session")
    class TestALoopForTheSession(Cases):
        pass
"""
"""`cases` has a class `Cases` of async tests."""
