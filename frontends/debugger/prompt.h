/* SPDX-License-Identifier: MIT */
/* The prompt, as a process of its own outside of the sandbox: it reads what the user types, and makes the files that
 * the user's lines name. Whoever has got hold of the debugger itself (the guest's memory, a symbol file, a recording
 * are strangers') can make no other file. */
#ifndef PROMPT_H
#define PROMPT_H

#include <stdbool.h>
#include <stdio.h>

/* Lines that the command line brings: TEXT, or all of FILE; and of files that they source. Before prompt_open. */
void prompt_allow(const char *text);
void prompt_allow_file(const char *file);
/* Start it. COMPLETE is asked while a line is read: what can the word that begins at START of LINE become, the I-th?
 * NULL: no more; PROMPT_FILE: any file. SILENT: stdout gets nothing of the typing. False, with errno. */
#define PROMPT_FILE "\001"
#define COMPLETION_BREAKS " \t\n()[]{}*&+-/<>=|!~,:" /* words end there; not at the $ of registers */
bool prompt_open(const char *(*complete)(const char *line, unsigned start, unsigned i), bool silent);
/* A line, malloc'd; NULL: no more. */
char *prompt_line(const char *prompt);
/* Make PATH, which must be a word of a line. NULL, with errno. */
FILE *prompt_create(const char *path);
void prompt_close(void);
/* The terminal as it was; safe in a signal handler. */
void prompt_restore(void);

#endif
