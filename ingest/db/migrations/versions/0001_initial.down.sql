-- TimescaleDB drops a hypertable only by itself.
DROP TABLE reading;
DROP TABLE outbox, alert, case_transition, resident_case, resident_fold, due_timer, due_mark,
    gateway_day, quarantine, duplicate, reading_key, resident_condition, resident,
    device, gateway, team, centre;
