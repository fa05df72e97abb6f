/* SPDX-License-Identifier: MIT */
/* Breakpoints. A request has all of a kind: those that it set before are deleted. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "dap.h"

static json_t *forget(struct dap *d, const char *key)
{
	json_t *old = json_object_get(d->ids, key), *id, *new = json_array();
	size_t i;

	json_array_foreach(old, i, id)
		json_decref(dap_command(d, "delete %" JSON_INTEGER_FORMAT, json_integer_value(id)));
	json_object_set_new(d->ids, key, new);
	return new;
}

/* Do COMMAND with WANTED's condition and hit count, for IDS. A breakpoint of the protocol. */
static json_t *set(struct dap *d, json_t *ids, json_t *wanted, const char *command)
{
	const char *condition = dap_string(wanted, "condition", ""), *hits = dap_string(wanted, "hitCondition", "");
	json_t *answer = dap_command(d, "%s%s%s", command, *condition ? " if " : "", condition);
	json_int_t id = dap_number(answer, "id", 0);
	json_t *out;

	if (!dap_ok(answer)) {
		out = json_pack("{s:b, s:s}", "verified", 0, "message", dap_error(answer));
	} else {
		json_array_append_new(ids, json_integer(id));
		out = json_pack("{s:b, s:I}", "verified", 1, "id", id);
		if (json_object_get(answer, "address"))
			json_object_set(out, "instructionReference", json_object_get(answer, "address"));
		if (atoi(hits) > 1)
			json_decref(dap_command(d, "ignore %" JSON_INTEGER_FORMAT " %d", id, atoi(hits) - 1));
	}
	json_decref(answer);
	return out;
}

/* Each of WANTED, by the command that TEXT makes of it; NULL: it is incomplete. */
static json_t *set_all(struct dap *d, const char *key, json_t *wanted,
		       char *(*text)(struct dap *d, json_t *wanted, const char *key))
{
	json_t *ids = forget(d, key), *out = json_array(), *one;
	size_t i;

	json_array_foreach(wanted, i, one) {
		char *command = text(d, one, key);

		json_array_append_new(out, command ? set(d, ids, one, command) :
			json_pack("{s:b, s:s}", "verified", 0, "message", "incomplete"));
		free(command);
	}
	return json_pack("{s:o}", "breakpoints", out);
}

char *dap_text(const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	return needed(n < 0 ? NULL : text);
}

char *dap_line(struct dap *d, json_t *source, json_int_t line)
{
	const char *path = dap_string(source, "path", dap_string(source, "name", "")), *name = strrchr(path, '/');
	json_t *answer;
	bool whole;

	line += !d->one_line;
	answer = dap_command(d, "info line %s:%" JSON_INTEGER_FORMAT, path, line);
	whole = dap_ok(answer);
	json_decref(answer);
	/* the guest may have been compiled elsewhere: then the name alone */
	return dap_text("%s:%" JSON_INTEGER_FORMAT, whole || !name ? path : name + 1, line);
}

static char *of_line(struct dap *d, json_t *wanted, const char *key)
{
	(void)d, (void)key;
	return dap_text("break %s", dap_string(wanted, "where", ""));
}

json_t *on_set_breakpoints(struct dap *d, json_t *arguments)
{
	json_t *source = json_object_get(arguments, "source"), *wanted = json_object_get(arguments, "breakpoints"),
	       *body, *one;
	char *key = dap_text("source %s", dap_string(source, "path", dap_string(source, "name", ""))), *where;
	size_t i;

	json_array_foreach(wanted, i, one) {
		where = dap_line(d, source, dap_number(one, "line", 0));
		json_object_set_new(one, "where", json_string(where));
		free(where);
	}
	body = set_all(d, key, wanted, of_line);
	json_array_foreach(json_object_get(body, "breakpoints"), i, one)
		json_object_set(one, "line", json_object_get(json_array_get(wanted, i), "line"));
	free(key);
	return body;
}

static char *of_function(struct dap *d, json_t *wanted, const char *key)
{
	const char *name = dap_string(wanted, "name", NULL);

	(void)d, (void)key;
	return name ? dap_text("break %s", name) : NULL;
}

json_t *on_set_function_breakpoints(struct dap *d, json_t *arguments)
{
	return set_all(d, "function", json_object_get(arguments, "breakpoints"), of_function);
}

static char *of_instruction(struct dap *d, json_t *wanted, const char *key)
{
	(void)d, (void)key;
	return dap_text("break *0x%" PRIx64,
			 dap_address(wanted, "instructionReference") + (uint64_t)dap_number(wanted, "offset", 0));
}

json_t *on_set_instruction_breakpoints(struct dap *d, json_t *arguments)
{
	return set_all(d, "instruction", json_object_get(arguments, "breakpoints"), of_instruction);
}

static char *of_data(struct dap *d, json_t *wanted, const char *key)
{
	const char *id = dap_string(wanted, "dataId", NULL), *type = dap_string(wanted, "accessType", "write");

	(void)d, (void)key;
	return id ? dap_text("%s %s",
			     !strcmp(type, "read")        ? "rwatch"
			     : !strcmp(type, "readWrite") ? "awatch"
							  : "watch",
			     id)
		  : NULL;
}

json_t *on_set_data_breakpoints(struct dap *d, json_t *arguments)
{
	return set_all(d, "data", json_object_get(arguments, "breakpoints"), of_data);
}

json_t *on_data_breakpoint_info(struct dap *d, json_t *arguments)
{
	char *expression = variable_expression(d, arguments);
	json_t *answer = expression ? dap_command(d, "print &(%s)", expression) : NULL, *body;

	if (!dap_ok(answer))
		body = json_pack("{s:n, s:s}", "dataId", "description",
				 answer ? dap_error(answer) : "it is not in memory");
	else
		body = json_pack("{s:s, s:s, s:[sss]}", "dataId", expression, "description", expression, "accessTypes",
				 "read", "write", "readWrite");
	json_decref(answer);
	free(expression);
	return body;
}

json_t *on_set_exception_breakpoints(struct dap *d, json_t *arguments)
{
	json_t *ids = forget(d, "exception"), *filter, *none = json_object(), *out = json_array();
	size_t i;

	json_array_foreach(json_object_get(arguments, "filters"), i, filter) {
		char *command = dap_text("catch %s", json_is_string(filter) ? json_string_value(filter) : "");

		json_array_append_new(out, set(d, ids, none, command));
		free(command);
	}
	json_decref(none);
	return json_pack("{s:o}", "breakpoints", out);
}
