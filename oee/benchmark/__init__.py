"""The benchmark by trade and machine kind: what may be shown of many factories without showing anything of one."""
