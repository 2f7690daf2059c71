"""A method for each operation of the API. Written by `make clients`: do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from sandkeeper_client.steps import Ask, path

if TYPE_CHECKING:
    from sandkeeper_client import types as t


class Operations:
    def _call(self, ask: Ask) -> Any:
        raise NotImplementedError

    def archive_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/archive", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def bulk_sandboxes(
        self, *, idempotency_key: str | None = None, **body: Unpack[t.BulkBodyRequest]
    ) -> t.BulkAnswer:
        """Request one action for up to 200 sandboxes."""
        answer: t.BulkAnswer = self._call(
            Ask("POST", path("/sandboxes/bulk"), body={**body}, idempotency_key=idempotency_key)
        )
        return answer

    def cancel_operation(
        self,
        operation_id: str,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ReasonRequest],
    ) -> t.Operation:
        """Cancel an operation that Daytona was not asked for yet."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/operations/{operation_id}/cancel", operation_id),
                body={**body},
                idempotency_key=idempotency_key,
                wait=wait,
            )
        )
        return answer

    def change_policy(self, policy_id: str, **body: Unpack[t.PatchedPolicyChangesRequest]) -> t.Policy:
        """Set rules of a lifecycle policy."""
        answer: t.Policy = self._call(Ask("PATCH", path("/policies/{policy_id}", policy_id), body={**body}))
        return answer

    def change_sandbox(
        self, sandbox_id: str, *, if_match: str | None = None, **body: Unpack[t.PatchedChangesRequest]
    ) -> t.Sandbox:
        """Change a sandbox's name, labels, intervals or protection."""
        answer: t.Sandbox = self._call(
            Ask("PATCH", path("/sandboxes/{sandbox_id}", sandbox_id), body={**body}, if_match=if_match)
        )
        return answer

    def change_webhook(self, webhook_id: str, **body: Unpack[t.PatchedWebhookChangesRequest]) -> t.Webhook:
        """Change a webhook's address or types, disable or enable it."""
        answer: t.Webhook = self._call(Ask("PATCH", path("/webhooks/{webhook_id}", webhook_id), body={**body}))
        return answer

    def create_sandbox(
        self, *, idempotency_key: str | None = None, wait: float | None = None, **body: Unpack[t.NewSandboxRequest]
    ) -> t.Operation:
        """Create a sandbox."""
        answer: t.Operation = self._call(
            Ask("POST", path("/sandboxes"), body={**body}, idempotency_key=idempotency_key, wait=wait)
        )
        return answer

    def create_webhook(self, **body: Unpack[t.NewWebhookRequest]) -> t.NewWebhook:
        """Register a webhook."""
        answer: t.NewWebhook = self._call(Ask("POST", path("/webhooks"), body={**body}))
        return answer

    def delete_policy(self, policy_id: str) -> None:
        """Delete a lifecycle policy."""
        self._call(Ask("DELETE", path("/policies/{policy_id}", policy_id)))

    def delete_sandbox(
        self, sandbox_id: str, *, if_match: str | None = None, wait: float | None = None
    ) -> t.Operation:
        """Delete a sandbox."""
        answer: t.Operation = self._call(
            Ask("DELETE", path("/sandboxes/{sandbox_id}", sandbox_id), if_match=if_match, wait=wait)
        )
        return answer

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        self._call(Ask("DELETE", path("/webhooks/{webhook_id}", webhook_id)))

    def ensure_running_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ReasonRequest],
    ) -> t.Sandbox | t.Operation:
        """Ask before use: is it running, or start it unless a person stopped it."""
        answer: t.Sandbox | t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/ensure-running", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                wait=wait,
            )
        )
        return answer

    def get_about(self) -> t.About:
        """Which Sandkeeper answers, and where to go from here."""
        answer: t.About = self._call(Ask("GET", path("/")))
        return answer

    def get_capacity(self, **query: Unpack[t.GetCapacityQuery]) -> t.CapacityAnswer:
        """What is in use, what was last refused, who would be stopped or archived next and why."""
        answer: t.CapacityAnswer = self._call(Ask("GET", path("/capacity"), query={**query}))
        return answer

    def get_operation(self, operation_id: str, *, wait: float | None = None) -> t.Operation:
        """Get an operation, or wait for its end."""
        answer: t.Operation = self._call(Ask("GET", path("/operations/{operation_id}", operation_id), wait=wait))
        return answer

    def get_owner_me(self) -> t.OwnerInFull:
        """What the owner has and may have, before a create asks for more."""
        answer: t.OwnerInFull = self._call(Ask("GET", path("/owners/me")))
        return answer

    def get_policy(self, policy_id: str) -> t.Policy:
        """Get a lifecycle policy."""
        answer: t.Policy = self._call(Ask("GET", path("/policies/{policy_id}", policy_id)))
        return answer

    def get_policy_preview(self, **query: Unpack[t.GetPolicyPreviewQuery]) -> t.PreviewAnswer:
        """Whom the lifecycle policies will touch."""
        answer: t.PreviewAnswer = self._call(Ask("GET", path("/policies/preview"), query={**query}))
        return answer

    def get_problem(self, code: str) -> t.Code:
        """What a problem's `type` points to."""
        answer: t.Code = self._call(Ask("GET", path("/problems/{code}", code)))
        return answer

    def get_sandbox(self, sandbox_id: str, *, if_match: str | None = None) -> t.Sandbox:
        """Get a sandbox."""
        answer: t.Sandbox = self._call(Ask("GET", path("/sandboxes/{sandbox_id}", sandbox_id), if_match=if_match))
        return answer

    def get_sandbox_policy(self, sandbox_id: str) -> t.SandboxPolicy:
        """The lifecycle rules that hold for a sandbox."""
        answer: t.SandboxPolicy = self._call(Ask("GET", path("/sandboxes/{sandbox_id}/policy", sandbox_id)))
        return answer

    def get_usage(self, **query: Unpack[t.GetUsageQuery]) -> t.UsageAnswer:
        """What sandboxes used over time, by owner, tier and region."""
        answer: t.UsageAnswer = self._call(Ask("GET", path("/usage"), query={**query}))
        return answer

    def get_webhook(self, webhook_id: str) -> t.Webhook:
        """Get a webhook."""
        answer: t.Webhook = self._call(Ask("GET", path("/webhooks/{webhook_id}", webhook_id)))
        return answer

    def get_webhook_dead(self, webhook_id: str, **query: Unpack[t.GetWebhookDeadQuery]) -> t.DeadDeliveryPage:
        """List the deliveries that were given up."""
        answer: t.DeadDeliveryPage = self._call(
            Ask("GET", path("/webhooks/{webhook_id}/dead", webhook_id), query={**query})
        )
        return answer

    def list_events(self, *, wait: float | None = None, **query: Unpack[t.ListEventsQuery]) -> t.FeedAnswer:
        """Follow the events of all sandboxes, in one order and without a gap."""
        answer: t.FeedAnswer = self._call(Ask("GET", path("/events"), query={**query}, wait=wait))
        return answer

    def list_operations(self, **query: Unpack[t.ListOperationsQuery]) -> t.OperationPage:
        """List operations."""
        answer: t.OperationPage = self._call(Ask("GET", path("/operations"), query={**query}))
        return answer

    def list_policies(self, **query: Unpack[t.ListPoliciesQuery]) -> t.PolicyPage:
        """List the lifecycle policies."""
        answer: t.PolicyPage = self._call(Ask("GET", path("/policies"), query={**query}))
        return answer

    def list_problems(self) -> t.CodeList:
        """Every code, with its HTTP status, what happened and what to do next."""
        answer: t.CodeList = self._call(Ask("GET", path("/problems")))
        return answer

    def list_sandbox_events(self, sandbox_id: str, **query: Unpack[t.ListSandboxEventsQuery]) -> t.EventPage:
        """List a sandbox's events, the newest first."""
        answer: t.EventPage = self._call(
            Ask("GET", path("/sandboxes/{sandbox_id}/events", sandbox_id), query={**query})
        )
        return answer

    def list_sandbox_operations(
        self, sandbox_id: str, **query: Unpack[t.ListSandboxOperationsQuery]
    ) -> t.OperationPage:
        """List a sandbox's operations."""
        answer: t.OperationPage = self._call(
            Ask("GET", path("/sandboxes/{sandbox_id}/operations", sandbox_id), query={**query})
        )
        return answer

    def list_sandboxes(self, **query: Unpack[t.ListSandboxesQuery]) -> t.SandboxPage:
        """List sandboxes."""
        answer: t.SandboxPage = self._call(Ask("GET", path("/sandboxes"), query={**query}))
        return answer

    def list_webhooks(self, **query: Unpack[t.ListWebhooksQuery]) -> t.WebhookPage:
        """List the key's webhooks."""
        answer: t.WebhookPage = self._call(Ask("GET", path("/webhooks"), query={**query}))
        return answer

    def recover_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/recover", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def replay_webhook(self, webhook_id: str, **body: Unpack[t.ReplayBodyRequest]) -> t.Replayed:
        """Deliver once more what was given up."""
        answer: t.Replayed = self._call(
            Ask("POST", path("/webhooks/{webhook_id}/replay", webhook_id), body={**body})
        )
        return answer

    def restart_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/restart", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def rotate_webhook(self, webhook_id: str) -> t.NewWebhook:
        """Rotate a webhook's secret."""
        answer: t.NewWebhook = self._call(Ask("POST", path("/webhooks/{webhook_id}/rotate", webhook_id)))
        return answer

    def start_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/start", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def stop_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/stop", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def sync_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/sync", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    def touch_sandbox(self, sandbox_id: str, *, idempotency_key: str | None = None) -> None:
        """Record that it is used."""
        self._call(Ask("POST", path("/sandboxes/{sandbox_id}/touch", sandbox_id), idempotency_key=idempotency_key))


class AsyncOperations:
    async def _call(self, ask: Ask) -> Any:
        raise NotImplementedError

    async def archive_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/archive", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def bulk_sandboxes(
        self, *, idempotency_key: str | None = None, **body: Unpack[t.BulkBodyRequest]
    ) -> t.BulkAnswer:
        """Request one action for up to 200 sandboxes."""
        answer: t.BulkAnswer = await self._call(
            Ask("POST", path("/sandboxes/bulk"), body={**body}, idempotency_key=idempotency_key)
        )
        return answer

    async def cancel_operation(
        self,
        operation_id: str,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ReasonRequest],
    ) -> t.Operation:
        """Cancel an operation that Daytona was not asked for yet."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/operations/{operation_id}/cancel", operation_id),
                body={**body},
                idempotency_key=idempotency_key,
                wait=wait,
            )
        )
        return answer

    async def change_policy(self, policy_id: str, **body: Unpack[t.PatchedPolicyChangesRequest]) -> t.Policy:
        """Set rules of a lifecycle policy."""
        answer: t.Policy = await self._call(Ask("PATCH", path("/policies/{policy_id}", policy_id), body={**body}))
        return answer

    async def change_sandbox(
        self, sandbox_id: str, *, if_match: str | None = None, **body: Unpack[t.PatchedChangesRequest]
    ) -> t.Sandbox:
        """Change a sandbox's name, labels, intervals or protection."""
        answer: t.Sandbox = await self._call(
            Ask("PATCH", path("/sandboxes/{sandbox_id}", sandbox_id), body={**body}, if_match=if_match)
        )
        return answer

    async def change_webhook(self, webhook_id: str, **body: Unpack[t.PatchedWebhookChangesRequest]) -> t.Webhook:
        """Change a webhook's address or types, disable or enable it."""
        answer: t.Webhook = await self._call(
            Ask("PATCH", path("/webhooks/{webhook_id}", webhook_id), body={**body})
        )
        return answer

    async def create_sandbox(
        self, *, idempotency_key: str | None = None, wait: float | None = None, **body: Unpack[t.NewSandboxRequest]
    ) -> t.Operation:
        """Create a sandbox."""
        answer: t.Operation = await self._call(
            Ask("POST", path("/sandboxes"), body={**body}, idempotency_key=idempotency_key, wait=wait)
        )
        return answer

    async def create_webhook(self, **body: Unpack[t.NewWebhookRequest]) -> t.NewWebhook:
        """Register a webhook."""
        answer: t.NewWebhook = await self._call(Ask("POST", path("/webhooks"), body={**body}))
        return answer

    async def delete_policy(self, policy_id: str) -> None:
        """Delete a lifecycle policy."""
        await self._call(Ask("DELETE", path("/policies/{policy_id}", policy_id)))

    async def delete_sandbox(
        self, sandbox_id: str, *, if_match: str | None = None, wait: float | None = None
    ) -> t.Operation:
        """Delete a sandbox."""
        answer: t.Operation = await self._call(
            Ask("DELETE", path("/sandboxes/{sandbox_id}", sandbox_id), if_match=if_match, wait=wait)
        )
        return answer

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        await self._call(Ask("DELETE", path("/webhooks/{webhook_id}", webhook_id)))

    async def ensure_running_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ReasonRequest],
    ) -> t.Sandbox | t.Operation:
        """Ask before use: is it running, or start it unless a person stopped it."""
        answer: t.Sandbox | t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/ensure-running", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                wait=wait,
            )
        )
        return answer

    async def get_about(self) -> t.About:
        """Which Sandkeeper answers, and where to go from here."""
        answer: t.About = await self._call(Ask("GET", path("/")))
        return answer

    async def get_capacity(self, **query: Unpack[t.GetCapacityQuery]) -> t.CapacityAnswer:
        """What is in use, what was last refused, who would be stopped or archived next and why."""
        answer: t.CapacityAnswer = await self._call(Ask("GET", path("/capacity"), query={**query}))
        return answer

    async def get_operation(self, operation_id: str, *, wait: float | None = None) -> t.Operation:
        """Get an operation, or wait for its end."""
        answer: t.Operation = await self._call(
            Ask("GET", path("/operations/{operation_id}", operation_id), wait=wait)
        )
        return answer

    async def get_owner_me(self) -> t.OwnerInFull:
        """What the owner has and may have, before a create asks for more."""
        answer: t.OwnerInFull = await self._call(Ask("GET", path("/owners/me")))
        return answer

    async def get_policy(self, policy_id: str) -> t.Policy:
        """Get a lifecycle policy."""
        answer: t.Policy = await self._call(Ask("GET", path("/policies/{policy_id}", policy_id)))
        return answer

    async def get_policy_preview(self, **query: Unpack[t.GetPolicyPreviewQuery]) -> t.PreviewAnswer:
        """Whom the lifecycle policies will touch."""
        answer: t.PreviewAnswer = await self._call(Ask("GET", path("/policies/preview"), query={**query}))
        return answer

    async def get_problem(self, code: str) -> t.Code:
        """What a problem's `type` points to."""
        answer: t.Code = await self._call(Ask("GET", path("/problems/{code}", code)))
        return answer

    async def get_sandbox(self, sandbox_id: str, *, if_match: str | None = None) -> t.Sandbox:
        """Get a sandbox."""
        answer: t.Sandbox = await self._call(
            Ask("GET", path("/sandboxes/{sandbox_id}", sandbox_id), if_match=if_match)
        )
        return answer

    async def get_sandbox_policy(self, sandbox_id: str) -> t.SandboxPolicy:
        """The lifecycle rules that hold for a sandbox."""
        answer: t.SandboxPolicy = await self._call(Ask("GET", path("/sandboxes/{sandbox_id}/policy", sandbox_id)))
        return answer

    async def get_usage(self, **query: Unpack[t.GetUsageQuery]) -> t.UsageAnswer:
        """What sandboxes used over time, by owner, tier and region."""
        answer: t.UsageAnswer = await self._call(Ask("GET", path("/usage"), query={**query}))
        return answer

    async def get_webhook(self, webhook_id: str) -> t.Webhook:
        """Get a webhook."""
        answer: t.Webhook = await self._call(Ask("GET", path("/webhooks/{webhook_id}", webhook_id)))
        return answer

    async def get_webhook_dead(self, webhook_id: str, **query: Unpack[t.GetWebhookDeadQuery]) -> t.DeadDeliveryPage:
        """List the deliveries that were given up."""
        answer: t.DeadDeliveryPage = await self._call(
            Ask("GET", path("/webhooks/{webhook_id}/dead", webhook_id), query={**query})
        )
        return answer

    async def list_events(self, *, wait: float | None = None, **query: Unpack[t.ListEventsQuery]) -> t.FeedAnswer:
        """Follow the events of all sandboxes, in one order and without a gap."""
        answer: t.FeedAnswer = await self._call(Ask("GET", path("/events"), query={**query}, wait=wait))
        return answer

    async def list_operations(self, **query: Unpack[t.ListOperationsQuery]) -> t.OperationPage:
        """List operations."""
        answer: t.OperationPage = await self._call(Ask("GET", path("/operations"), query={**query}))
        return answer

    async def list_policies(self, **query: Unpack[t.ListPoliciesQuery]) -> t.PolicyPage:
        """List the lifecycle policies."""
        answer: t.PolicyPage = await self._call(Ask("GET", path("/policies"), query={**query}))
        return answer

    async def list_problems(self) -> t.CodeList:
        """Every code, with its HTTP status, what happened and what to do next."""
        answer: t.CodeList = await self._call(Ask("GET", path("/problems")))
        return answer

    async def list_sandbox_events(self, sandbox_id: str, **query: Unpack[t.ListSandboxEventsQuery]) -> t.EventPage:
        """List a sandbox's events, the newest first."""
        answer: t.EventPage = await self._call(
            Ask("GET", path("/sandboxes/{sandbox_id}/events", sandbox_id), query={**query})
        )
        return answer

    async def list_sandbox_operations(
        self, sandbox_id: str, **query: Unpack[t.ListSandboxOperationsQuery]
    ) -> t.OperationPage:
        """List a sandbox's operations."""
        answer: t.OperationPage = await self._call(
            Ask("GET", path("/sandboxes/{sandbox_id}/operations", sandbox_id), query={**query})
        )
        return answer

    async def list_sandboxes(self, **query: Unpack[t.ListSandboxesQuery]) -> t.SandboxPage:
        """List sandboxes."""
        answer: t.SandboxPage = await self._call(Ask("GET", path("/sandboxes"), query={**query}))
        return answer

    async def list_webhooks(self, **query: Unpack[t.ListWebhooksQuery]) -> t.WebhookPage:
        """List the key's webhooks."""
        answer: t.WebhookPage = await self._call(Ask("GET", path("/webhooks"), query={**query}))
        return answer

    async def recover_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/recover", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def replay_webhook(self, webhook_id: str, **body: Unpack[t.ReplayBodyRequest]) -> t.Replayed:
        """Deliver once more what was given up."""
        answer: t.Replayed = await self._call(
            Ask("POST", path("/webhooks/{webhook_id}/replay", webhook_id), body={**body})
        )
        return answer

    async def restart_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/restart", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def rotate_webhook(self, webhook_id: str) -> t.NewWebhook:
        """Rotate a webhook's secret."""
        answer: t.NewWebhook = await self._call(Ask("POST", path("/webhooks/{webhook_id}/rotate", webhook_id)))
        return answer

    async def start_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/start", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def stop_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/stop", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def sync_sandbox(
        self,
        sandbox_id: str,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        wait: float | None = None,
        **body: Unpack[t.ActionBodyRequest],
    ) -> t.Operation:
        """Request an action."""
        answer: t.Operation = await self._call(
            Ask(
                "POST",
                path("/sandboxes/{sandbox_id}/sync", sandbox_id),
                body={**body},
                idempotency_key=idempotency_key,
                if_match=if_match,
                wait=wait,
            )
        )
        return answer

    async def touch_sandbox(self, sandbox_id: str, *, idempotency_key: str | None = None) -> None:
        """Record that it is used."""
        await self._call(
            Ask("POST", path("/sandboxes/{sandbox_id}/touch", sandbox_id), idempotency_key=idempotency_key)
        )
