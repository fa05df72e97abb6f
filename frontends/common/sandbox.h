/* SPDX-License-Identifier: MIT */
/* The rights of a program after it has opened the files of its command line. There are two layers, and each holds
 * without the other:
 *
 *   Landlock   file names: the program can open only the allowed names, with the allowed rights; TCP ports, from ABI 4
 *              on
 *   seccomp    system calls: no new program or process, only the allowed kinds of sockets, no memory that is writable
 *              and executable, and so on; if no name is allowed, no file can be opened
 *
 * docs/SECURITY.md describes the limits. Open descriptors keep their rights. */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum { SANDBOX_READ = 1, SANDBOX_WRITE = 2, SANDBOX_CHANGE = 4 /* make, remove and rename what is in a directory */ };
enum { SANDBOX_PATHS = 96, SANDBOX_PORTS = 16 };

struct sandbox {
	bool off;
	unsigned count, nports;
	struct { char *path; unsigned rights; } paths[SANDBOX_PATHS];
	uint16_t ports[SANDBOX_PORTS]; /* TCP, to connect to */
	bool internet;                 /* IPv4 and IPv6 sockets; without ports, to anywhere */
	bool local;                    /* Unix sockets that connect */
	bool window;                   /* what SDL's drivers need */
};

/* A file, or a directory and all below it. What does not exist when the sandbox is entered is not allowed. */
void sandbox_allow(struct sandbox *s, unsigned rights, const char *path);
void sandbox_free(struct sandbox *s);

/* The two layers. They can only be made narrower, never wider. What the host does not have is said in *LACKS, if that
 * is not NULL (a literal). False, with errno: the host has it, and it failed. */
bool sandbox_files(const struct sandbox *s, const char **lacks);
bool sandbox_calls(const struct sandbox *s, const char **lacks);

#endif
