/* SPDX-License-Identifier: MIT */
/* Scopes, variables and expressions. A reference is the number, from 1 on, of an object in `references':
 *
 *     {"frame": N, "show": "locals" | "args" | "info registers" | "creg"}     a scope
 *     {"frame": N, "value": VALUE, "expression": TEXT}                        the members of a structure or an array
 *     {"frame": N, "pointer": TEXT}                                           what an expression points to */
#define _GNU_SOURCE
#include <string.h>

#include "dap.h"

static json_int_t refer(struct dap *d, json_t *object)
{
	json_array_append_new(d->references, object);
	return (json_int_t)json_array_size(d->references);
}

static void select_frame(struct dap *d, json_t *object)
{
	json_decref(dap_command(d, "frame %" JSON_INTEGER_FORMAT, dap_number(object, "frame", 0)));
}

json_t *on_scopes(struct dap *d, json_t *arguments)
{
	static const struct { const char *name, *show; } rows[] = {
		{ "Locals", "info locals" }, { "Arguments", "info args" }, { "Registers", "info registers" },
		{ "Control Registers", "creg" },
	};
	json_int_t frame = dap_number(arguments, "frameId", 1) - 1;
	json_t *out = json_array();

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		json_array_append_new(out, json_pack("{s:s, s:I, s:b}", "name", rows[i].name, "variablesReference",
			refer(d, json_pack("{s:I, s:s}", "frame", frame, "show", rows[i].show)), "expensive", 0));
	return json_pack("{s:o}", "scopes", out);
}

static bool has_members(json_t *value) { return json_is_object(value) || json_is_array(value); }

/* A variable of the protocol. EXPRESSION: NULL if it cannot be evaluated. */
static json_t *variable(struct dap *d, json_int_t frame, const char *name, json_t *value, const char *type,
			const char *expression)
{
	char *text = json_is_string(value) ? needed(strdup(json_string_value(value))) :
		needed(json_dumps(value, JSON_ENCODE_ANY));
	bool pointer = *type && type[strlen(type) - 1] == '*' && !strncmp(text, "0x", 2) && strcmp(text, "0x0");
	json_int_t reference = 0;
	json_t *out;

	if (has_members(value))
		reference = refer(
			d, json_pack("{s:I, s:O, s:s?}", "frame", frame, "value", value, "expression", expression));
	else if (pointer && expression)
		reference = refer(d, json_pack("{s:I, s:s}", "frame", frame, "pointer", expression));
	out = json_pack("{s:s, s:s, s:s, s:I}", "name", name, "value", text, "type", type, "variablesReference",
			reference);
	if (expression)
		json_object_set_new(out, "evaluateName", json_string(expression));
	if (pointer)
		json_object_set_new(out, "memoryReference", json_string(text));
	free(text);
	return out;
}

static char *member(const char *expression, json_t *of, const char *name, size_t index)
{
	if (!expression)
		return NULL;
	if (json_is_object(of))
		return *name ? dap_text("(%s).%s", expression, name) : needed(strdup(expression));
	return dap_text("(%s)[%zu]", expression, index);
}

static json_t *members(struct dap *d, json_int_t frame, json_t *value, const char *expression)
{
	json_t *out = json_array(), *one;
	const char *name;
	char *path;
	size_t i;

	json_object_foreach(value, name, one) {
		path = member(expression, value, name, 0);
		json_array_append_new(out, variable(d, frame, *name ? name : "(anonymous)", one, "", path));
		free(path);
	}
	json_array_foreach(value, i, one) {
		char index[24];

		snprintf(index, sizeof index, "[%zu]", i);
		path = member(expression, value, "", i);
		json_array_append_new(out, variable(d, frame, index, one, "", path));
		free(path);
	}
	return out;
}

/* The variables of a scope: of "locals", "args" or "registers" in the answer to its command. */
static json_t *shown(struct dap *d, json_int_t frame, json_t *answer)
{
	json_t *list = json_object_get(answer, "locals"), *out = json_array(), *one;
	const char *name;
	size_t i;

	json_array_foreach(list ? list : json_object_get(answer, "args"), i, one) {
		name = dap_string(one, "name", "");
		json_array_append_new(out, variable(d, frame, name, json_object_get(one, "value"),
						    dap_string(one, "type", ""), name));
	}
	json_object_foreach(json_object_get(answer, "registers"), name, one) {
		char expression[40];
		json_t *value = json_is_object(one) ? json_object_get(one, "value") : one;

		snprintf(expression, sizeof expression, "$%s", name);
		json_array_append_new(out, variable(d, frame, name, value, "", expression));
	}
	return out;
}

json_t *on_variables(struct dap *d, json_t *arguments)
{
	json_int_t number = dap_number(arguments, "variablesReference", 0);
	json_t *of = number > 0 ? json_array_get(d->references, (size_t)number - 1) : NULL, *answer, *out;
	json_int_t frame = dap_number(of, "frame", 0);
	const char *show = dap_string(of, "show", NULL), *pointer = dap_string(of, "pointer", NULL);

	if (!of)
		return dap_fail(d, "there is no variablesReference %" JSON_INTEGER_FORMAT " any more", number);
	json_incref(of);
	if (show) {
		select_frame(d, of);
		answer = dap_command(d, "%s", show);
		out = shown(d, frame, answer);
		json_decref(answer);
	} else if (pointer) {
		char *expression = dap_text("*(%s)", pointer);

		select_frame(d, of);
		answer = dap_command(d, "print %s", expression);
		out = json_array();
		if (dap_ok(answer) && has_members(json_object_get(answer, "value"))) {
			json_decref(out);
			out = members(d, frame, json_object_get(answer, "value"), expression);
		} else {
			json_t *value = dap_ok(answer) ? json_incref(json_object_get(answer, "value"))
						       : json_string(dap_error(answer));

			json_array_append_new(out, variable(d, frame, expression, value, dap_string(answer, "type", ""),
							    dap_ok(answer) ? expression : NULL));
			json_decref(value);
		}
		free(expression);
		json_decref(answer);
	} else {
		out = members(d, frame, json_object_get(of, "value"), dap_string(of, "expression", NULL));
	}
	json_decref(of);
	return json_pack("{s:o}", "variables", out);
}

char *variable_expression(struct dap *d, json_t *arguments)
{
	json_int_t number = dap_number(arguments, "variablesReference", 0);
	json_t *of = number > 0 ? json_array_get(d->references, (size_t)number - 1) : NULL,
	       *value = json_object_get(of, "value");
	const char *name = dap_string(arguments, "name", "");

	if (!*name)
		return NULL;
	if (!of)
		return needed(strdup(name));
	select_frame(d, of);
	if (value)
		return member(dap_string(of, "expression", NULL), value, name,
			      *name == '[' ? strtoul(name + 1, NULL, 10) : 0);
	if (dap_string(of, "pointer", NULL))
		return *name == '*' ? needed(strdup(name))
				    : dap_text("(*(%s)).%s", dap_string(of, "pointer", ""), name);
	if (!strcmp(dap_string(of, "show", ""), "info registers") || !strcmp(dap_string(of, "show", ""), "creg"))
		return dap_text("$%s", name);
	return needed(strdup(name));
}

json_t *on_set_variable(struct dap *d, json_t *arguments)
{
	char *expression = variable_expression(d, arguments);
	const char *value = dap_string(arguments, "value", "");
	json_t *answer = expression ? dap_command(d, "set var %s = %s", expression, value) : NULL, *body;

	if (!dap_ok(answer)) {
		body = dap_fail(d, "%s", answer ? dap_error(answer) : "it has no expression");
	} else {
		json_decref(answer);
		answer = dap_command(d, "print %s", expression);
		body = variable(d, 0, expression, json_object_get(answer, "value"), dap_string(answer, "type", ""),
				expression);
	}
	json_decref(answer);
	free(expression);
	return body;
}

/* In the console: a command of vcpu-dbg. Elsewhere: an expression. */
json_t *on_evaluate(struct dap *d, json_t *arguments)
{
	const char *expression = dap_string(arguments, "expression", ""),
		   *context = dap_string(arguments, "context", "watch");
	json_int_t frame = dap_number(arguments, "frameId", 1) - 1;
	bool console = !strcmp(context, "repl");
	json_t *answer, *body;

	json_decref(dap_command(d, "frame %" JSON_INTEGER_FORMAT, frame));
	answer = console ? dap_command(d, "%s", expression) : dap_command(d, "print %s", expression);
	if (!dap_ok(answer)) {
		body = dap_fail(d, "%s", dap_error(answer));
	} else if (console) {
		body = json_pack("{s:s, s:i}", "result", dap_string(answer, "output", ""), "variablesReference", 0);
		if (json_object_get(answer, "stop"))
			dap_stopped(d, answer, "goto");
	} else {
		body = variable(d, frame, expression, json_object_get(answer, "value"), dap_string(answer, "type", ""),
				expression);
		json_object_set(body, "result", json_object_get(body, "value"));
		if (json_object_get(answer, "address"))
			json_object_set(body, "memoryReference", json_object_get(answer, "address"));
	}
	json_decref(answer);
	return body;
}

json_t *on_completions(struct dap *d, json_t *arguments)
{
	const char *text = dap_string(arguments, "text", "");
	json_int_t column = dap_number(arguments, "column", 1) - d->one_line;
	char *line = needed(strndup(text, column < 0 ? 0 : (size_t)column));
	const char *space = strrchr(line, ' '), *word;
	json_t *out = json_array();
	unsigned start = space ? (unsigned)(space - line) + 1 : 0;

	for (unsigned i = 0; i < 200 && (word = completion(&d->session, line, start, i)) && word != completion_file;
	     i++)
		json_array_append_new(out, json_pack("{s:s, s:i, s:i}", "label", word, "start", (int)start, "length",
						     (int)strlen(line + start)));
	free(line);
	return json_pack("{s:o}", "targets", out);
}
