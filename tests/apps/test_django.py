"""Django answers an exception with a page, and announces it: a test sees the exception, as with other frameworks."""

from __future__ import annotations

import pytest

PROJECT = {
    "shop.py": """
        import django
        from django.conf import settings
        from django.http import Http404, HttpResponse
        from django.urls import path

        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="made up")
        django.setup()

        from django.core.asgi import get_asgi_application
        from django.core.wsgi import get_wsgi_application

        def broken(request):
            raise LookupError("no such book")

        async def broken_too(request):
            raise LookupError("no such book")

        def missing(request):
            raise Http404

        def own_page(request):
            return HttpResponse("its own page", status=500)

        urlpatterns = [
            path("broken", broken), path("broken-too", broken_too), path("missing", missing), path("own-page", own_page)
        ]
        asgi, wsgi = get_asgi_application(), get_wsgi_application()
        """,
    "test_shop.py": """
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        @pytest.mark.parametrize("path", ["broken", "broken-too"])
        def test_it_is_raised(client, exchanges, path, attempt):
            with pytest.raises(LookupError, match="no such book") as caught:
                client.get(f"/{path}")
            assert caught.traceback[-1].name == path.replace("-", "_")
            assert [str(each) for each in exchanges] == [
                f"test -> app: GET /{path} 500 and LookupError: no such book"
            ]

        def test_what_is_no_failure_is_a_response(client):
            assert client.get("/missing").status_code == 404
            assert client.get("/own-page").text == "its own page"
        """,
}


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_an_exception_is_raised_in_the_test_with_its_own_traceback(project, interface):
    options = {
        "pyproject.toml": f'[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.seatrial]\napp = "shop:{interface}"\n'
    }
    outcome = project.write(PROJECT | options).pytest("-q")
    assert outcome.counts() == {"passed": 5}, outcome.text
