"""MQTT messages become rows in the store, and receipts.

`mqtt` receives, `ingest_queue` buffers, `worker` takes batches, `planning` decides what each message does to store and
ledger, `settle` commits, `receipts` answers.
"""
