"""Where everything is."""

from rest_framework.routers import SimpleRouter

from library.views import Books

router = SimpleRouter()
router.register("books", Books)
urlpatterns = router.urls
