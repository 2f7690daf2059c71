from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

admin.autodiscover()

handler400 = "sandboxes.admin.errors.bad_request"
handler403 = "sandboxes.admin.errors.forbidden"
handler404 = "sandboxes.admin.errors.not_found"
handler500 = "project.unusable.server_error"


class Icon(RedirectView):
    """For pages that name no icon of their own."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static("sandboxes/icon.svg")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", Icon.as_view()),
    path("admin/", admin.site.urls),
    path("api/", include("sandboxes.api.urls")),
]
