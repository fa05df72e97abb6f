/* SPDX-License-Identifier: MIT */
/* --display text: the text screen in the terminal, and its keys for the machine's keyboard. Without a terminal, the
 * last screen is printed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { SCREEN_MAX = 65536 };
#define INTERVAL 40000000u /* host ns between two looks */

static struct {
	char shown[SCREEN_MAX], now[SCREEN_MAX];
	struct vcpu_screen last;
	uint64_t next;
} screen;

static void draw(const struct vcpu_screen *s)
{
	printf("\033[?25l\033[H");
	for (const char *row = screen.now, *end; (end = strchr(row, '\n')); row = end + 1)
		printf("%.*s\033[K\r\n", (int)(end - row), row);
	printf("\033[J");
	if (s->cursor)
		printf("\033[%u;%uH\033[?25h", s->cursor_row + 1, s->cursor_column + 1);
	fflush(stdout);
}

void textscreen_show(const vcpu *machine, uint64_t host_ns)
{
	struct vcpu_screen s;

	if (host_ns < screen.next || !isatty(STDOUT_FILENO))
		return;
	screen.next = host_ns + INTERVAL;
	vcpu_screen(machine, &s, NULL, 0);
	vcpu_screen_text(machine, screen.now, sizeof screen.now);
	if (s.columns && (strcmp(screen.now, screen.shown) || s.cursor_row != screen.last.cursor_row ||
			  s.cursor_column != screen.last.cursor_column)) {
		draw(&s);
		memcpy(screen.shown, screen.now, sizeof screen.shown);
		screen.last = s;
	}
}

void textscreen_end(const vcpu *machine)
{
	screen.next = 0;
	textscreen_show(machine, 0);
	if (isatty(STDOUT_FILENO)) {
		printf("\033[?25h\033[%u;1H\n", screen.last.rows ? screen.last.rows : 1);
	} else {
		vcpu_screen_text(machine, screen.now, sizeof screen.now);
		fputs(screen.now, stdout);
	}
}

/* What a terminal sends for keys without a character, and the key's scan code behind E0h. */
static const struct { const char *sequence; unsigned char code; } keys[] = {
	{ "\033[A", 0x48 }, { "\033[B", 0x50 }, { "\033[C", 0x4d }, { "\033[D", 0x4b }, { "\033[H", 0x47 },
		{ "\033[F", 0x4f }, { "\033[1~", 0x47 },
	{ "\033[2~", 0x52 }, { "\033[3~", 0x53 }, { "\033[4~", 0x4f }, { "\033[5~", 0x49 }, { "\033[6~", 0x51 },
};

void textscreen_keys(vcpu *machine, const char *text, size_t len)
{
	while (len) {
		size_t used = 1, i = 0, count = sizeof keys / sizeof *keys;
		char one[2] = { *text };

		while (i < count &&
		       (len < strlen(keys[i].sequence) || memcmp(text, keys[i].sequence, strlen(keys[i].sequence))))
			i++;
		if (i < count) {
			unsigned char codes[4] = { 0xe0, keys[i].code, 0xe0, keys[i].code | 0x80 };

			vcpu_input(machine, VCPU_KEYBOARD, codes, sizeof codes);
			used = strlen(keys[i].sequence);
		} else {
			vcpu_type_text(machine, one);
		}
		text += used;
		len -= used;
	}
}
