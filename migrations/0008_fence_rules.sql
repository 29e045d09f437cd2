-- What a fence says beyond enter and exit: dwell, crossings between two fixes, and the hours in which it is in force.

alter table geofence
  -- Seconds inside after which a dwell follows, once a visit; NULL: never.
  add column dwell_s integer check (dwell_s between 1 and 2592000),
  -- Two fixes further apart than this make no crossing; 0: none ever does.
  add column cross_gap_s integer not null default 120 check (cross_gap_s between 0 and 3600),
  -- [{"days": ["mon", …], "from": "08:00", "to": "18:00"}, …]; "to" at or before "from" is a time of the next day.
  -- NULL: always.
  add column active_hours jsonb check (case jsonb_typeof(active_hours)
    when 'array' then jsonb_array_length(active_hours) between 1 and 32
    else active_hours is null end),
  -- Whose clocks active_hours are told by: an IANA name; NULL: customer.time_zone.
  add column time_zone text check (time_zone <> '');
