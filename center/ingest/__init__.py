"""MQTT messages become rows in the store, and receipts.

`mqtt` receives, `inbox` queues, `worker` takes batches from the queue, `planner` decides what each message does to the
ledger, `settle` commits, `receipts` answers.
"""
