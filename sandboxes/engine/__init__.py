"""The worker: claims rows that are due, and runs them side by side in one event loop. The rows are the queue."""
