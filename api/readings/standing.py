"""SQL: what a reading says after all that was said of it, for whoever shows or exports readings.

As the judge has it (``rules.reported.amend``, ``ingest.db.amendments``), and here only: of each
field the latest word received holds that was not taken back; of a meter's late contexts the last
captured one that says anything, and a person's word over it. Units are never converted here.
"""


def standing(reading: str) -> str:
    """SQL to follow ``FROM visible_reading``: what was said of its rows, and what stands.

    Brings three row sources, each with one row for each reading:

    - ``said``: ``changes`` (JSON by field, null: none), ``retracted``, ``number`` of words, ``at``
      of the last one received;
    - ``late``: ``meal_context`` (null: none said anything), ``number``, ``at``, of contexts;
    - ``stands``: ``taken_at``, ``systolic``, ``diastolic``, ``glucose``, ``unit`` (of the three
      before it), ``setting``, ``status``, ``meal_context``. Whose it is now is a column of
      ``visible_reading`` itself.

    Args:
        reading: The alias of ``visible_reading`` in the statement; a word of the program's own.
    """
    return f"""
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(part.key, part.value ORDER BY word.received_at, word.id)
               FILTER (WHERE NOT word.undone AND part.key IS NOT NULL) AS changes,
           coalesce(bool_or(word.kind = 'retraction' AND NOT word.undone), false) AS retracted,
           count(DISTINCT word.id) AS number, max(word.received_at) AS at
    FROM amendment word LEFT JOIN LATERAL jsonb_each(word.changes) part ON true
    WHERE word.reading_id = {reading}.id
) said
CROSS JOIN LATERAL (
    SELECT (array_agg(meal.meal_context ORDER BY meal.said_at DESC, meal.id DESC)
               FILTER (WHERE meal.meal_context <> 'unknown'))[1] AS meal_context,
           count(*) AS number, max(meal.received_at) AS at
    FROM visible_context meal
    WHERE {reading}.kind = 'glucose' AND {reading}.device_sequence IS NOT NULL
      AND meal.reading_id = {reading}.id AND meal.partition_at = {reading}.partition_at
) late
CROSS JOIN LATERAL (
    SELECT coalesce((said.changes ->> 'measured_at')::timestamptz, {reading}.effective_at)
               AS taken_at,
           coalesce((said.changes ->> 'systolic')::numeric, {reading}.systolic) AS systolic,
           coalesce((said.changes ->> 'diastolic')::numeric, {reading}.diastolic) AS diastolic,
           coalesce((said.changes ->> 'glucose')::numeric, {reading}.glucose) AS glucose,
           coalesce(said.changes ->> 'unit', {reading}.unit) AS unit,
           coalesce(said.changes ->> 'setting', {reading}.setting) AS setting,
           CASE WHEN said.changes ? 'status'
                THEN ARRAY(SELECT jsonb_array_elements_text(said.changes -> 'status'))
                ELSE {reading}.status END AS status,
           coalesce(said.changes ->> 'meal_context', late.meal_context, {reading}.meal_context)
               AS meal_context
) stands"""  # noqa: S608 - our own words
