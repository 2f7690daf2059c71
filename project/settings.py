"""Every setting, typed, from the environment (or `.env` beside manage.py). A wrong one refuses to start.

A variable `X_FILE` names a file that holds the value of `X` (Docker and Kubernetes secrets).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from project.database import secrets_of
from project.environment import Environment
from project.logs import configure_structlog, hide, logging_config, passwords_in
from project.networks import Proxies
from project.rest import *  # noqa: F403
from project.unfold import UNFOLD as UNFOLD
from sandboxes.core.actions import DEADLINES as DEFAULT_DEADLINES

PACKAGES = Path(__file__).resolve().parent.parent
# Where `.env` and `var/` are: beside manage.py, or where an installed package is run.
BASE_DIR = PACKAGES if (PACKAGES / "manage.py").is_file() else Path.cwd()
VAR_DIR = BASE_DIR / "var"

env = Environment(env_file=os.environ.get("ENV_FILE", str(BASE_DIR / ".env")))


# --- Django -----------------------------------------------------------------------------------------------

DEBUG: bool = env.flag("DEBUG", default=False)
SECRET_KEY: str = env.required("SECRET_KEY", why="Set it to a long random value and keep it secret.")
SECRET_KEY_FALLBACKS: list[str] = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS: list[str] = env.words("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS: list[str] = env.words("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "project.apps.Unfold",
    "unfold.contrib.filters",
    "project.apps.Admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "sandboxes",
]

MIDDLEWARE = [
    "project.networks.ForwardedHeaders",
    "project.probes.Probes",
    "sandboxes.api.middleware.RequestIds",
    "sandboxes.api.middleware.CompressedJson",
    "sandboxes.api.middleware.ApiProblems",
    "sandboxes.api.middleware.ChunkedBodies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "project.request_log.RequestLog",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
    "project.unusable.UnusableDatabase",
    "sandboxes.admin.middleware.ReadableParameters",
    "sandboxes.admin.middleware.ReadablePages",
    "sandboxes.admin.sign_in.SignInLimit",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# How staff sign in: at an OpenID Connect provider where one is named, and by passwords unless these are off.
STAFF_OIDC_ISSUER: str = env.text("STAFF_OIDC_ISSUER")
STAFF_OIDC_GROUPS_CLAIM: str = env.text("STAFF_OIDC_GROUPS_CLAIM", default="groups")
STAFF_OIDC_GROUPS: dict[str, str] = env.json("STAFF_OIDC_GROUPS", default={})  # the provider's: ours, or superuser
STAFF_OIDC_SESSION_SECONDS: int = env.whole("STAFF_OIDC_SESSION_SECONDS", default=28_800, minimum=60)
STAFF_PASSWORDS: bool = env.flag("STAFF_PASSWORDS", default=True)
OIDC_RP_CLIENT_ID: str = env.text("STAFF_OIDC_CLIENT_ID")
OIDC_RP_CLIENT_SECRET: str = env.text("STAFF_OIDC_CLIENT_SECRET")
OIDC_RP_SIGN_ALGO = "RS256"  # which every provider can
OIDC_RP_SCOPES = "openid email profile"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 5.0  # seconds for each read
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    *(["sandboxes.admin.single_sign_on.Backend"] if STAFF_OIDC_ISSUER else []),
    *(["django.contrib.auth.backends.ModelBackend"] if STAFF_PASSWORDS else []),
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGES / "sandboxes" / "templates"],  # ours before Unfold's of the same name
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = env.text("STATIC_ROOT", default=str(VAR_DIR / "static"))
# In development and tests files are served as they lie, without collectstatic.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # collectstatic's copies under their own names are served to nobody
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Database: SQLite is the embedded default, PostgreSQL is production -------------------------------------

_database = env.database(
    "DATABASE_URL",
    default=f"sqlite:///{VAR_DIR / 'sandkeeper.sqlite3'}",
    statement_timeout=env.whole("STATEMENT_TIMEOUT", default=30),
)
_database["CONN_MAX_AGE"] = env.whole("CONN_MAX_AGE", default=600)
DATABASES = {"default": _database}
# Where workers hear of rows that became due, when a pooler stands before DATABASE_URL; empty: there.
DATABASE_DIRECT_URL: str = env.text("DATABASE_DIRECT_URL")
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://sandkeeper")}

# --- The other systems: workers and commands hold these keys, the web process does not need them -------------

DAYTONA_API_URL: str = env.text("DAYTONA_API_URL").rstrip("/")
DAYTONA_API_KEY: str = env.text("DAYTONA_API_KEY")
DAYTONA_TARGET: str = env.text("DAYTONA_TARGET")
DAYTONA_UNAUTHORIZED_PAUSE: float = env.number("DAYTONA_UNAUTHORIZED_PAUSE", default=60.0)
DAYTONA_CONNECT_TIMEOUT: float = env.number("DAYTONA_CONNECT_TIMEOUT", default=3.0)
DAYTONA_READ_TIMEOUT: float = env.number("DAYTONA_READ_TIMEOUT", default=5.0)
# Of a create, start or recover, which Daytona may hold for 30 s.
DAYTONA_HOLD_TIMEOUT: float = env.number("DAYTONA_HOLD_TIMEOUT", default=35.0)
CONVEX_URL: str = env.text("CONVEX_URL").rstrip("/")
CONVEX_DEPLOY_KEY: str = env.text("CONVEX_DEPLOY_KEY")
CONVEX_UNAUTHORIZED_PAUSE: float = env.number("CONVEX_UNAUTHORIZED_PAUSE", default=60.0)
CONVEX_PAUSED_PAUSE: float = env.number("CONVEX_PAUSED_PAUSE", default=10.0)
CONVEX_CONNECT_TIMEOUT: float = env.number("CONVEX_CONNECT_TIMEOUT", default=3.0)
CONVEX_READ_TIMEOUT: float = env.number("CONVEX_READ_TIMEOUT", default=15.0)

# Where staff read more of a sandbox: addresses with {daytona_id}, {name} or {owner} in them; empty: no link.
DAYTONA_DASHBOARD: str = env.text("DAYTONA_DASHBOARD")
CONVEX_DASHBOARD: str = env.text("CONVEX_DASHBOARD")

# --- The rules: seconds unless the name says otherwise --------------------------------------------------------

TIERS: dict[str, dict[str, Any]] = env.json(
    "TIERS",
    default={
        "basic": {"cpu": 1, "memory_gb": 1, "disk_gb": 3, "snapshot": "daytona-small"},
        "standard": {"cpu": 2, "memory_gb": 4, "disk_gb": 8, "snapshot": "daytona-medium"},
        "performance": {"cpu": 4, "memory_gb": 8, "disk_gb": 10, "snapshot": "daytona-large"},
    },
)
SANDBOXES_PER_OWNER: int = env.whole("SANDBOXES_PER_OWNER", default=5)
OPERATIONS_PER_OWNER_PER_HOUR: int = env.whole("OPERATIONS_PER_OWNER_PER_HOUR", default=1_000)  # 0 = no limit
OBSERVATION_TTL: float = env.number("OBSERVATION_TTL", default=60.0)
PROTECT_MAX_DAYS: float = env.number("PROTECT_MAX_DAYS", default=30.0)  # by owners and programs
TOUCH_EVERY: float = env.number("TOUCH_EVERY", default=15.0)
TOUCH_FORWARD_EVERY: float = env.number("TOUCH_FORWARD_EVERY", default=60.0)
EVICTION_SCOPE: str = env.one_of("EVICTION_SCOPE", "off", "owner", "organization", default="owner")
EVICTION_DISK_SCOPE: str = env.one_of("EVICTION_DISK_SCOPE", "off", "owner", "organization", default="off")
EVICTION_MIN_IDLE: float = env.number("EVICTION_MIN_IDLE", default=120.0)
EVICTION_MAX_PER_START: int = env.whole("EVICTION_MAX_PER_START", default=3)
POLICY_WARNING_SECONDS: float = env.number("POLICY_WARNING_SECONDS", default=900.0)
if env.text("IDLE_STOP_AFTER") not in ("", "0"):
    raise ImproperlyConfigured(
        "IDLE_STOP_AFTER is gone: leave it out, and run `manage.py set_policy --idle-stop MINUTES`."
    )
RECONCILE_MAX_CHANGE: float = env.number("RECONCILE_MAX_CHANGE", default=20.0)  # per cent
RECONCILE_PAGE: int = env.whole("RECONCILE_PAGE", default=200)
SWEEP_STALE_SECONDS: float = env.number("SWEEP_STALE_SECONDS", default=900.0)

LEASE_SECONDS: float = env.number("LEASE_SECONDS", default=30.0)
# How long one attempt may wait inside.
ATTEMPT_SECONDS: float = env.number("ATTEMPT_SECONDS", default=1.0, formerly="TICK_SECONDS")
IN_DOUBT_SECONDS: float = env.number("IN_DOUBT_SECONDS", default=300.0, formerly="UNSETTLED_SECONDS")
MISSING_CONFIRM_SECONDS: float = env.number("MISSING_CONFIRM_SECONDS", default=60.0)
CONVEX_RESEND_SECONDS: float = env.number("CONVEX_RESEND_SECONDS", default=300.0, formerly="CONVEX_AGAIN_SECONDS")
CONVEX_VERIFY_EVERY: float = env.number("CONVEX_VERIFY_EVERY", default=86400.0)
CONVEX_FIRST_PUSH_SECONDS: float = env.number("CONVEX_FIRST_PUSH_SECONDS", default=60.0)
RETRY_BASE_SECONDS: float = env.number("RETRY_BASE_SECONDS", default=1.0)
RETRY_MAX_SECONDS: float = env.number("RETRY_MAX_SECONDS", default=60.0)
INTENT_RETRY_SECONDS: float = env.number("INTENT_RETRY_SECONDS", default=5.0)
STUCK_SECONDS: float = env.number("STUCK_SECONDS", default=600.0, formerly="DELETE_STUCK_SECONDS")
# How old Daytona's answer to a GET may be.
READ_CACHE_SECONDS: float = env.number("READ_CACHE_SECONDS", default=10.0, formerly="CALL_ECHO_SECONDS")
HEARTBEAT_SECONDS: float = env.number("HEARTBEAT_SECONDS", default=2.0)
# Who has given no sign of life for so long counts as dead: what it held is free again.
WORKER_SILENT_SECONDS: float = env.number("WORKER_SILENT_SECONDS", default=10.0)

DEADLINES: dict[str, float] = {
    name: env.number(f"DEADLINE_{name.upper()}", default=seconds) for name, seconds in DEFAULT_DEADLINES.items()
}

# Webhooks: how long a receiver may take to answer, for how long one delivery is tried, after how long without any
# success a receiver is disabled, and the networks of our own where receivers may be.
WEBHOOK_TIMEOUT: float = env.number("WEBHOOK_TIMEOUT", default=15.0)
WEBHOOK_RETRY_SECONDS: float = env.number("WEBHOOK_RETRY_SECONDS", default=86_400.0)
WEBHOOK_DISABLE_SECONDS: float = env.number("WEBHOOK_DISABLE_SECONDS", default=432_000.0)
WEBHOOK_NETWORKS: list[str] = env.words("WEBHOOK_NETWORKS", default=["127.0.0.0/8", "::1/128"] if DEBUG else [])

# Mail to receivers of notices; without a host there is none.
EMAIL_HOST: str = env.text("EMAIL_HOST")
EMAIL_PORT: int = env.whole("EMAIL_PORT", default=25)
EMAIL_HOST_USER: str = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD: str = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS: bool = env.flag("EMAIL_USE_TLS", default=False)  # STARTTLS, mostly on port 587
EMAIL_USE_SSL: bool = env.flag("EMAIL_USE_SSL", default=False)  # from the first byte, mostly on port 465
EMAIL_TIMEOUT: float = WEBHOOK_TIMEOUT
DEFAULT_FROM_EMAIL: str = env.text("DEFAULT_FROM_EMAIL", default="sandkeeper@localhost")

RETENTION_DAYS: dict[str, int] = {
    "operations": env.whole("RETAIN_OPERATIONS_DAYS", default=90),
    "events": env.whole("RETAIN_EVENTS_DAYS", default=90),
    "tombstones": env.whole("RETAIN_TOMBSTONES_DAYS", default=90),
    "deliveries": env.whole("RETAIN_DELIVERIES_DAYS", default=14),
    "idempotency": env.whole("RETAIN_IDEMPOTENCY_DAYS", default=1),
    "notices": env.whole("RETAIN_NOTICES_DAYS", default=90),
    "sweeps": env.whole("RETAIN_SWEEPS_DAYS", default=14),
    "jobs": env.whole("RETAIN_JOBS_DAYS", default=90),
    "usage": env.whole("RETAIN_USAGE_DAYS", default=400),
    "audit": env.whole("RETAIN_AUDIT_DAYS", default=400),  # of what is written from now on
}

# --- REST -----------------------------------------------------------------------------------------------------

OIDC_ISSUER: str = env.text("OIDC_ISSUER")
OIDC_AUDIENCE: list[str] = env.words("OIDC_AUDIENCE")
OIDC_JWKS_URL: str = env.text("OIDC_JWKS_URL")
OIDC_REQUIRED_CLAIMS: list[str] = env.words("OIDC_REQUIRED_CLAIMS")  # Clerk: sid
if OIDC_ISSUER and not OIDC_AUDIENCE:
    raise ImproperlyConfigured(
        "OIDC_ISSUER is set without OIDC_AUDIENCE: any application's tokens would do. See .env.example."
    )
SERVICE_KEY_PEPPERS: list[str] = env.words("SERVICE_KEY_PEPPERS", default=[SECRET_KEY])
CORS_ALLOWED_ORIGINS: list[str] = env.words("CORS_ALLOWED_ORIGINS", default=[])
DATA_UPLOAD_MAX_MEMORY_SIZE: int = env.whole("MAX_BODY_BYTES", default=1_000_000)
REQUEST_SECONDS: float = env.number("REQUEST_SECONDS", default=30.0)  # from a request's first byte to its last
MAX_HEAD_BYTES: int = env.whole("MAX_HEAD_BYTES", default=32_768, minimum=8_192)  # `next` holds filters and a name

WEB_PROCESSES: int = env.whole("WEB_PROCESSES", default=2, minimum=1)
WEB_THREADS: int = env.whole("WEB_THREADS", default=8, minimum=1)  # half of them may wait for operations
RATE_LIMITS: dict[str, int] = {  # requests a minute and caller; 0 = none
    "owner": env.whole("RATE_LIMIT_OWNER", default=600),
    "service": env.whole("RATE_LIMIT_SERVICE", default=60_000),
    "staff": env.whole("RATE_LIMIT_STAFF", default=1_200),
}
ATTEMPT_LIMITS: dict[str, int] = {  # a minute and address; 0 = none
    "credentials": env.whole("RATE_LIMIT_BAD_CREDENTIALS", default=60),
    "sign_in": env.whole("RATE_LIMIT_SIGN_IN", default=30),
}

# --- Safety ---------------------------------------------------------------------------------------------------

AXES_FAILURE_LIMIT: int = env.whole("AXES_FAILURE_LIMIT", default=8)
AXES_COOLOFF_TIME = env.number("AXES_COOLOFF_HOURS", default=0.25)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "project.networks.client_address"
AXES_LOCKOUT_TEMPLATE = "sandboxes/locked_out.html"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # Unfold's Alpine components evaluate their attributes.
        "script-src": [SELF, NONCE, "'unsafe-eval'"],
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "font-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("SECURE_COOKIES", default=not DEBUG)
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "sandboxes.admin.errors.csrf_failure"
SECURE_SSL_REDIRECT: bool = env.flag("SECURE_SSL_REDIRECT", default=not DEBUG)
SECURE_HSTS_SECONDS: int = env.whole("SECURE_HSTS_SECONDS", default=0 if DEBUG else 31_536_000)
# Both bind other hosts than this one, and browsers forget neither soon.
SECURE_HSTS_INCLUDE_SUBDOMAINS: bool = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD: bool = env.flag("SECURE_HSTS_PRELOAD", default=False)
if not (SECURE_HSTS_INCLUDE_SUBDOMAINS and SECURE_HSTS_PRELOAD):
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # Django's own, which recommend both to everybody
TRUSTED_PROXIES: list[str] = env.words("TRUSTED_PROXIES")
try:
    Proxies.of(tuple(TRUSTED_PROXIES))
except ValueError as error:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}. See .env.example.") from None
if env.text("TRUST_PROXY") not in ("", "0"):
    raise ImproperlyConfigured("TRUST_PROXY is gone: set TRUSTED_PROXIES, to 1 for one proxy. See .env.example.")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # ForwardedHeaders drops it unless it is a proxy's
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Who may read /metrics: whoever sends the token, or calls from one of the networks. Nobody unless one is set.
METRICS_TOKEN: str = env.text("METRICS_TOKEN")
METRICS_NETWORKS: list[str] = env.words("METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"] if DEBUG else [])

# --- Logs -----------------------------------------------------------------------------------------------------

LOG_LEVEL: str = env.one_of("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR", default="INFO")
LOG_JSON: bool = env.flag("LOG_JSON", default=not DEBUG)
hide(
    SECRET_KEY,
    *SECRET_KEY_FALLBACKS,
    METRICS_TOKEN,
    OIDC_RP_CLIENT_SECRET,
    DAYTONA_API_KEY,
    CONVEX_DEPLOY_KEY,
    EMAIL_HOST_PASSWORD,
    *SERVICE_KEY_PEPPERS,
    *secrets_of(_database),
    *passwords_in(env.text("CACHE_URL"), DATABASE_DIRECT_URL),
)
DEFAULT_EXCEPTION_REPORTER = "project.debugging.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "project.debugging.Filter"
configure_structlog()
LOGGING = logging_config(level=LOG_LEVEL, as_json=LOG_JSON)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO  # a refusal is an answer
DJANGO_STRUCTLOG_USER_ID_FIELD = None
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # RequestIds has seen to it that it is well-formed

# What the environment still calls by a former name; `manage.py check` says so.
FORMER_NAMES: dict[str, str] = env.former_names
# What nobody reads, and what was probably meant.
MISTYPED_NAMES: dict[str, str] = env.mistyped()
