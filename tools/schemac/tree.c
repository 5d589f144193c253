/* tree - reads the folder of schemas and checks what one file alone cannot show: that a file is where its name says,
 * that events begin with Meta, and that a record named in several files is the same in all. */
#include "tools/schemac/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Names in a folder that end in suffix (folders: suffix NULL), sorted. A missing folder is empty. */
static size_t list_folder(bt_arena *arena, const char *path, const char *suffix, const char **ret_names, size_t max)
{
    DIR *folder = opendir(path);
    size_t count = 0;
    if (folder == NULL)
        return 0;
    for (struct dirent *entry = readdir(folder); entry != NULL && count < max; entry = readdir(folder)) {
        size_t size = strlen(entry->d_name), suffix_size = suffix == NULL ? 0 : strlen(suffix);
        struct stat status;
        bool is_folder = stat(sc_printf(arena, "%s/%s", path, entry->d_name), &status) == 0 && S_ISDIR(status.st_mode);
        if (entry->d_name[0] == '.' || is_folder != (suffix == NULL) || size <= suffix_size ||
            strcmp(entry->d_name + size - suffix_size, suffix == NULL ? "" : suffix) != 0)
            continue;
        ret_names[count++] = sc_printf(arena, "%s", entry->d_name);
    }
    closedir(folder);
    qsort(ret_names, count, sizeof ret_names[0], compare_names);
    return count;
}

/* File SeatsHeld.avsc in schemas/trip holds record berth.trip.SeatsHeld. */
static bool place_check(sc_tree *tree, const sc_kind *kind, const sc_schema *schema, const char *file_name)
{
    const sc_record *root = schema->root;
    const char *expected = sc_printf(tree->arena, "berth.%s.%.*s", kind->name, (int)(strlen(file_name) - strlen(".avsc")), file_name);
    if (strcmp(root->fullname, expected) != 0)
        return sc_fail(schema->file, "$", "holds %s, but its place says %s", root->fullname, expected);
    for (size_t i = 0; i < schema->record_count; i++)
        if (schema->records[i]->kind != NULL && strcmp(schema->records[i]->kind, kind->name) != 0)
            return sc_fail(schema->file, schema->records[i]->path, "%s is of another kind; a kind's records are its own",
                           schema->records[i]->fullname);
    return true;
}

static bool meta_check(const sc_tree *tree, const sc_schema *schema, bool is_event)
{
    const sc_record *root = schema->root;
    const char *path = NULL;
    bool begins = root->field_count > 0 && root->fields[0].record != NULL && strcmp(root->fields[0].record->fullname, "berth.Meta") == 0;
    if (!is_event)
        return !begins || sc_fail(schema->file, "$.fields[0]", "a command has no meta: it is completed by its owner");
    if (!begins || strcmp(root->fields[0].name, "meta") != 0 || root->fields[0].optional)
        return sc_fail(schema->file, "$.fields[0]", "an event's first field is \"meta\", the record berth.Meta of %s", tree->meta->file);
    if (!sc_record_same(root->fields[0].record, tree->meta->root, &path))
        return sc_fail(schema->file, path, "differs from %s, which is frozen in place", tree->meta->file);
    return true;
}

/* Adds the records of a schema that the kind does not have yet; one that it has must be the same. */
static bool records_merge(sc_kind *kind, const sc_schema *schema)
{
    for (size_t i = 0; i < schema->record_count; i++) {
        const sc_record *record = schema->records[i], *known = NULL;
        if (record->kind == NULL)
            continue;
        for (size_t k = 0; k < kind->record_count; k++) {
            if (strcmp(kind->records[k]->fullname, record->fullname) == 0)
                known = kind->records[k];
            else if (strcmp(kind->records[k]->c_name, record->c_name) == 0)
                return sc_fail(schema->file, record->path, "%s and %s would both be struct %s", record->fullname,
                               kind->records[k]->fullname, record->c_name);
        }
        const char *path;
        if (known != NULL && !sc_record_same(record, known, &path))
            return sc_fail(schema->file, path, "%s differs from its declaration in another schema of %s: make them equal", record->fullname,
                           kind->name);
        if (known == NULL && kind->record_count == SC_SCHEMAS_MAX)
            return sc_fail(schema->file, record->path, "more than %d records in one kind", SC_SCHEMAS_MAX);
        if (known == NULL)
            kind->records[kind->record_count++] = record;
    }
    return true;
}

static bool folder_load(sc_tree *tree, sc_kind *kind, const char *part, sc_schema **ret_schemas, size_t *ret_count)
{
    const char *names[SC_SCHEMAS_MAX];
    const char *folder = sc_printf(tree->arena, "%s/%s/%s", tree->folder, kind->name, part);
    size_t count = list_folder(tree->arena, folder, ".avsc", names, SC_SCHEMAS_MAX);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        sc_schema *schema = sc_schema_parse(sc_printf(tree->arena, "%s/%s", folder, names[i]), tree->arena, tree->keep);
        bool fits = schema != NULL && place_check(tree, kind, schema, names[i]) && meta_check(tree, schema, strcmp(part, "events") == 0) &&
                    records_merge(kind, schema);
        if (fits)
            ret_schemas[(*ret_count)++] = schema;
        good = good && fits;
    }
    return good;
}

/* Meta is laid out by hand in core/forward.h: the file must say the same. */
static bool meta_is_bt_meta(const sc_schema *schema)
{
    const sc_record *meta = schema->root;
    bool same = strcmp(meta->fullname, "berth.Meta") == 0 && meta->field_count == bt_meta_type.field_count;
    for (size_t i = 0; same && i < meta->field_count; i++) {
        const bt_field *field = &bt_meta_type.fields[i];
        same = strcmp(meta->fields[i].name, field->name) == 0 && meta->fields[i].kind == (bt_type_kind)field->kind &&
               meta->fields[i].max == field->max && !meta->fields[i].optional;
    }
    return same || sc_fail(schema->file, "$", "Meta is frozen: parent, version, time, command, body, actor, as bt_meta in core/forward.h");
}

bool sc_tree_load(sc_tree *tree, const char *folder)
{
    const char *names[SC_KINDS_MAX];
    bool good = true;
    tree->folder = folder;
    tree->meta = sc_schema_parse(sc_printf(tree->arena, "%s/Meta.avsc", folder), tree->arena, tree->keep);
    if (tree->meta == NULL || !meta_is_bt_meta(tree->meta))
        return false;
    size_t count = list_folder(tree->arena, folder, NULL, names, SC_KINDS_MAX);
    for (size_t i = 0; i < count; i++) {
        sc_kind *kind = bt_arena_take(tree->arena, sizeof *kind);
        kind->name = names[i];
        good = folder_load(tree, kind, "events", kind->events, &kind->event_count) && good;
        good = folder_load(tree, kind, "commands", kind->commands, &kind->command_count) && good;
        tree->kinds[tree->kind_count++] = kind;
    }
    if (good && tree->kind_count == 0)
        return sc_fail(folder, NULL, "no kind of stream here: a kind is a folder with events/");
    return good;
}
