from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from sandboxes.admin.single_sign_on import Begin, Callback

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
    path("admin/single-sign-on/", Begin.as_view(), name="single_sign_on"),
    path("admin/single-sign-on/callback/", Callback.as_view(), name="oidc_authentication_callback"),
    path("admin/", admin.site.urls),
    path("api/", include("sandboxes.api.urls")),
]
