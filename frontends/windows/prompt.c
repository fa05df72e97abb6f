/* SPDX-License-Identifier: MIT */
/* debugger/prompt.h for a host without the sandbox: the prompt is in the debugger's process. The console edits the line,
 * and nothing completes it. */
#include <errno.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include "prompt.h"

static bool terminal;

void prompt_allow(const char *text) { (void)text; }
void prompt_allow_file(const char *path) { (void)path; }

bool prompt_open(const char *(*complete)(const char *line, unsigned start, unsigned i), bool silent)
{
	(void)complete;
	terminal = isatty(0) && !silent;
	return true;
}

char *prompt_line(const char *prompt)
{
	char *line = NULL;
	size_t room = 0;

	if (terminal)
		fputs(prompt, stdout);
	fflush(stdout);
	if (getline(&line, &room, stdin) < 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\n")] = 0;
	return line;
}

FILE *prompt_create(const char *path) { return fopen(path, "w"); }
void prompt_close(void) { }
void prompt_restore(void) { }
