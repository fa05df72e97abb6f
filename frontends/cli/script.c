/* SPDX-License-Identifier: MIT */
/* Unattended runs: --type and --expect, in the order in which they were given. What is typed goes to the keyboard of a
 * machine with a display, else to COM1; what is expected is a POSIX extended regular expression in what COM1 has said
 * since the last match, or on the text screen as it is, without the blanks at the ends of its lines or with them. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { STEPS_MAX = 256, HEARD_MAX = 32768, SCREEN_MAX = 65536 };

static struct {
	struct step { bool expect; char *text; regex_t pattern; } steps[STEPS_MAX]; /* no text: the next medium */
	unsigned count, at;
	size_t typed;           /* bytes of the current step */
	char heard[HEARD_MAX];  /* what COM1 said; the oldest goes first */
	size_t len;
} script;

/* \n \t \e \\ \" and \xHH become what they mean, in place. */
static void unescape(char *s)
{
	static const char names[] = "ntre\\\"", values[] = "\n\t\r\033\\\"";
	char *out = s, *name;
	unsigned hex;
	int used;

	for (; *s; s++) {
		if (*s != '\\' || !s[1]) {
			*out++ = *s;
		} else if (s[1] == 'x' && sscanf(s + 2, "%2x%n", &hex, &used) == 1) {
			*out++ = (char)hex;
			s += 1 + used;
		} else if ((name = strchr(names, s[1]))) {
			*out++ = values[name - names];
			s++;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

bool script_add(bool expect, const char *text)
{
	struct step *step = &script.steps[script.count];
	char why[128];
	int error;

	if (script.count == STEPS_MAX) {
		complain("--type and --expect may be given at most %d times", STEPS_MAX);
		return false;
	}
	*step = (struct step){ .expect = expect, .text = text ? strdup(text) : NULL };
	if (!text) {
		script.count++;
		return true;
	}
	if (!step->text)
		return false;
	if (!expect) {
		unescape(step->text);
	} else if ((error = regcomp(&step->pattern, text, REG_EXTENDED | REG_NEWLINE))) {
		regerror(error, &step->pattern, why, sizeof why);
		complain("--expect '%s': %s", text, why);
		return false;
	}
	script.count++;
	return true;
}

void script_hear(const char *data, size_t len)
{
	if (script.at == script.count)
		return;
	if (len > HEARD_MAX / 2) {
		data += len - HEARD_MAX / 2;
		len = HEARD_MAX / 2;
	}
	if (script.len + len >= HEARD_MAX) {
		size_t drop = script.len + len - HEARD_MAX + HEARD_MAX / 4;

		drop = drop < script.len ? drop : script.len;
		script.len -= drop;
		memmove(script.heard, script.heard + drop, script.len);
	}
	for (size_t i = 0; i < len; i++)
		if (data[i] && data[i] != '\r')
			script.heard[script.len++] = data[i];
	script.heard[script.len] = 0;
}

/* FROM, a text screen without the blanks at the ends of its lines, to TO with them: up to the last column, and in the
 * cursor's line up to the cursor. */
static void pad(const struct vcpu_screen *s, const char *from, char to[SCREEN_MAX])
{
	size_t len = 0;

	for (unsigned row = 0; *from; row++) {
		unsigned column = 0, end = s->cursor && s->cursor_row == row ? s->cursor_column : s->columns;

		for (; *from && *from != '\n' && len < SCREEN_MAX - 1; to[len++] = *from++)
			column += (*from & 0xc0) != 0x80; /* UTF-8: a first byte */
		for (; column < end && len < SCREEN_MAX - 1; column++)
			to[len++] = ' ';
		if (*from && len < SCREEN_MAX - 1)
			to[len++] = *from++;
		else
			break;
	}
	to[len] = 0;
}

static bool met(vcpu *machine, const struct step *step)
{
	static char screen[SCREEN_MAX], padded[SCREEN_MAX];
	struct vcpu_screen s;
	regmatch_t match;

	if (!regexec(&step->pattern, script.heard, 1, &match, 0)) {
		script.len -= (size_t)match.rm_eo;
		memmove(script.heard, script.heard + match.rm_eo, script.len + 1);
		return true;
	}
	if (!vcpu_screen_text(machine, screen, sizeof screen) || !vcpu_screen(machine, &s, NULL, 0))
		return false;
	pad(&s, screen, padded);
	return !regexec(&step->pattern, screen, 0, NULL, 0) || !regexec(&step->pattern, padded, 0, NULL, 0);
}

/* TEXT on the keyboard of a machine with a display, else into COM1. */
static bool put(vcpu *machine, const char *text)
{
	struct vcpu_screen s;

	return vcpu_screen(machine, &s, NULL, 0) ? vcpu_type_text(machine, text) == strlen(text)
						 : !vcpu_input(machine, VCPU_COM1, text, strlen(text));
}

bool script_type(vcpu *machine, char *text)
{
	unescape(text);
	return put(machine, text);
}

/* One character each time: a slice of the run is the pace of the keys. */
static bool typed(vcpu *machine, const struct step *step)
{
	char key[2] = { step->text ? step->text[script.typed] : 0 };

	if (!step->text && vcpu_next_medium(machine) < 0)
		complain("--next-medium: %s", vcpu_error(machine));
	if (!*key)
		return true;
	if (put(machine, key))
		script.typed++;
	return !step->text[script.typed];
}

bool script_step(vcpu *machine)
{
	while (script.at < script.count) {
		const struct step *step = &script.steps[script.at];

		if (!(step->expect ? met(machine, step) : typed(machine, step)))
			return false;
		script.at++;
		script.typed = 0;
		if (script.at == script.count && step->expect)
			return true;
		if (!step->expect)
			return false;
	}
	return false;
}

bool script_waits(void)
{
	return script.at < script.count;
}

const char *script_unmet(void)
{
	for (unsigned i = script.at; i < script.count; i++)
		if (script.steps[i].expect)
			return script.steps[i].text;
	return NULL;
}
