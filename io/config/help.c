/* help - the table of settings as a person reads it in a terminal. */
#include "io/config/store.h"

static void write_setting(const bt_setting *setting, bt_buf *text)
{
    bt_buf_text(text, "  --");
    bt_buf_text(text, setting->name);
    bt_buf_text(text, "=");
    if (setting->kind == BT_SETTING_CHOICE)
        bt_buf_text(text, setting->choices);
    else
        bt_buf_text(text, setting->kind == BT_SETTING_STR ? "TEXT" : setting->kind == BT_SETTING_I64 ? "NUMBER" : "true|false");
    bt_buf_text(text, "\n        ");
    bt_buf_text(text, setting->help);
    if (setting->min != 0 || setting->max != 0)
        bt_buf_printf(text, "; %lld to %lld", (long long)setting->min, (long long)setting->max);
    if (setting->secret || *setting->initial == '\0')
        bt_buf_text(text, setting->secret ? " [not shown]\n" : " [none]\n");
    else {
        bt_buf_text(text, " [");
        bt_buf_text(text, setting->initial);
        bt_buf_text(text, "]\n");
    }
}

void bt_config_write_help(const bt_config_spec *spec, bt_buf *ret_text)
{
    bt_buf_text(ret_text, spec->program);
    bt_buf_text(ret_text, " - ");
    bt_buf_text(ret_text, spec->about);
    bt_buf_text(ret_text, "\n\nUsage: ");
    bt_buf_text(ret_text, spec->program);
    bt_buf_text(ret_text, spec->takes_arguments ? " [--config FILE] [--section.key=value ...] [ARGUMENT ...]\n\n" : " [--config FILE] [--section.key=value ...]\n\n");
    bt_buf_text(ret_text, "Each setting may stand in the file (section.key = value), in the environment (BERTH_SECTION_KEY) or in a flag;\n"
                          "a flag beats the environment, the environment beats the file. Defaults are in brackets.\n\n");
    bt_buf_text(ret_text, "  --config FILE\n        a file of settings, one a line, # begins a comment; also BERTH_CONFIG [none]\n");
    for (size_t i = 0; i < spec->setting_count; i++)
        write_setting(&spec->settings[i], ret_text);
    if (spec->passthrough != NULL) {
        bt_buf_text(ret_text, "  --");
        bt_buf_text(ret_text, spec->passthrough);
        bt_buf_text(ret_text, "*=TEXT\n        ");
        bt_buf_text(ret_text, spec->passthrough_help == NULL ? "handed on as it is" : spec->passthrough_help);
        bt_buf_text(ret_text, "\n");
    }
    bt_buf_text(ret_text, "  --help, --version\n        show this, or the build, and stop\n");
}
