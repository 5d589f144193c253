/* ids - schemas/ids.tsv: which number on the wire means which frozen text. Append-only, for logs are read for ever. */
#include "tools/schemac/tree.h"

#include "core/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

const char *sc_subject(bt_arena *arena, const sc_kind *kind, const sc_schema *schema)
{
    return sc_printf(arena, "berth.%s-%s", kind->name, schema->root->fullname);
}

const char *sc_fingerprint(bt_arena *arena, bt_str text)
{
    char *hex = bt_arena_take(arena, BT_ID_HEX_SIZE + 1);
    bt_id_to_hex(bt_digest_parts(&text, 1), hex);
    return hex;
}

static bool row_find_current(sc_tree *tree, sc_version *row, const char *file, const char *line_path)
{
    for (size_t k = 0; k < tree->kind_count; k++)
        for (size_t e = 0; e < tree->kinds[k]->event_count; e++)
            if (strcmp(sc_subject(tree->arena, tree->kinds[k], tree->kinds[k]->events[e]), row->subject) == 0) {
                row->kind = tree->kinds[k];
                row->current = tree->kinds[k]->events[e];
                return true;
            }
    return sc_fail(file, line_path, "%s has no schema any more: an event that may stand in a log is never removed", row->subject);
}

static bool row_check(sc_tree *tree, sc_version *row, const char *file, const char *line_path)
{
    int version = 1;
    for (size_t i = 0; i < tree->version_count; i++)
        version += strcmp(tree->versions[i].subject, row->subject) == 0;
    if (row->id != tree->version_count + 1)
        return sc_fail(file, line_path, "id %u is not the next: rows are appended, never removed or moved", row->id);
    if (row->version != version)
        return sc_fail(file, line_path, "version %d of %s should be %d", row->version, row->subject, version);
    row->frozen = sc_schema_parse(sc_printf(tree->arena, "%s/%s", tree->folder, row->path), tree->arena, tree->keep);
    if (row->frozen == NULL)
        return false;
    if (strcmp(sc_fingerprint(tree->arena, row->frozen->text), row->fingerprint) != 0)
        return sc_fail(row->frozen->file, NULL, "is frozen and was changed: put it back (git checkout); a change makes a new version");
    return row_find_current(tree, row, file, line_path);
}

static bool row_parse(sc_tree *tree, char *line, const char *file, const char *line_path)
{
    char *cells[5], *rest = line;
    for (size_t i = 0; i < BT_COUNT_OF(cells); i++) {
        cells[i] = strsep(&rest, "\t");
        if (cells[i] == NULL || cells[i][0] == 0)
            return sc_fail(file, line_path, "needs five cells with tabs between: id, subject, version, path, fingerprint");
    }
    if (rest != NULL)
        return sc_fail(file, line_path, "more than five cells");
    if (tree->version_count == SC_VERSIONS_MAX)
        return sc_fail(file, line_path, "more than %d versions", SC_VERSIONS_MAX);
    sc_version row = { .id = (uint32_t)strtoul(cells[0], NULL, 10),
                       .subject = cells[1],
                       .version = atoi(cells[2]),
                       .path = cells[3],
                       .fingerprint = cells[4] };
    if (!row_check(tree, &row, file, line_path))
        return false;
    tree->versions[tree->version_count++] = row;
    return true;
}

bool sc_ids_load(sc_tree *tree)
{
    const char *file = sc_printf(tree->arena, "%s/ids.tsv", tree->folder);
    bt_str text;
    if (!sc_file_read(file, tree->arena, &text))
        return false;
    char *rest = (char *)(uintptr_t)text.at; /* our own copy */
    int number = 0;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        number++;
        if (line[0] == '#' || line[0] == 0)
            continue;
        if (!row_parse(tree, line, file, sc_printf(tree->arena, "line %d", number)))
            return false;
    }
    return true;
}

static const sc_version *newest_of(const sc_tree *tree, const sc_schema *current)
{
    const sc_version *newest = NULL;
    for (size_t i = 0; i < tree->version_count; i++)
        if (tree->versions[i].current == current)
            newest = &tree->versions[i];
    return newest;
}

/* One event against every frozen version of it. */
static bool compatible(const sc_tree *tree, const sc_schema *current, sc_rule rule)
{
    for (size_t i = 0; i < tree->version_count; i++) {
        const sc_version *old = &tree->versions[i];
        if (old->current != current)
            continue;
        if (!sc_can_read(tree->arena, current->root, current->file, old->frozen->root, old->frozen->file))
            return false;
        if (rule == SC_RULE_FULL && !sc_can_read(tree->arena, old->frozen->root, old->frozen->file, current->root, current->file))
            return sc_fail(current->file, NULL,
                           "is not FULL_TRANSITIVE compatible with %s (above): undo the change, or give it as a new record",
                           old->frozen->file);
    }
    return true;
}

bool sc_gate_check(const sc_tree *tree, sc_rule rule)
{
    bool good = true;
    for (size_t k = 0; k < tree->kind_count; k++)
        for (size_t e = 0; e < tree->kinds[k]->event_count; e++) {
            const sc_schema *current = tree->kinds[k]->events[e];
            const sc_version *newest = newest_of(tree, current);
            bool fits = compatible(tree, current, rule);
            if (fits && newest == NULL)
                fits = sc_fail(current->file, "$", "has no id yet: run schemac --schemas %s --freeze, and commit what it writes",
                               tree->folder);
            else if (fits && !bt_str_equal(newest->frozen->text, current->text))
                fits = sc_fail(current->file, "$", "differs from its frozen version %d (%s): undo the change, or run schemac "
                               "--schemas %s --freeze to make version %d",
                               newest->version, newest->frozen->file, tree->folder, newest->version + 1);
            good = good && fits;
        }
    return good;
}

static bool freeze_one(sc_tree *tree, const sc_kind *kind, const sc_schema *current, bt_buf *ids)
{
    const sc_version *newest = newest_of(tree, current);
    int version = newest == NULL ? 1 : newest->version + 1;
    const char *path = sc_printf(tree->arena, "%s/past/%s.v%d.avsc", kind->name, current->root->name, version);
    const char *target = sc_printf(tree->arena, "%s/%s", tree->folder, path);
    mkdir(sc_printf(tree->arena, "%s/%s/past", tree->folder, kind->name), 0777); /* is there already but for a new kind's first event */
    if (!sc_file_write(target, current->text))
        return false;
    uint32_t id = (uint32_t)++tree->version_count;
    sc_put(ids, "%u\t%s\t%d\t%s\t%s\n", id, sc_subject(tree->arena, kind, current), version, path,
           sc_fingerprint(tree->arena, current->text));
    printf("froze %s as id %u, version %d\n", current->root->fullname, id, version);
    return true;
}

bool sc_freeze(sc_tree *tree, sc_rule rule)
{
    const char *file = sc_printf(tree->arena, "%s/ids.tsv", tree->folder);
    bt_str text;
    bool good = sc_file_read(file, tree->arena, &text);
    bt_buf ids;
    bt_buf_init(&ids, SC_FILE_BYTES_MAX);
    bt_buf_str(&ids, good ? text : BT_STR(""));
    for (size_t k = 0; good && k < tree->kind_count; k++)
        for (size_t e = 0; good && e < tree->kinds[k]->event_count; e++) {
            const sc_schema *current = tree->kinds[k]->events[e];
            const sc_version *newest = newest_of(tree, current);
            if (newest == NULL || !bt_str_equal(newest->frozen->text, current->text))
                good = compatible(tree, current, rule) && freeze_one(tree, tree->kinds[k], current, &ids);
        }
    good = good && !ids.overflow && sc_file_write(file, bt_buf_view(&ids));
    bt_buf_release(&ids);
    return good;
}
