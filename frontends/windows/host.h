/* SPDX-License-Identifier: MIT */
/* What the programs use of POSIX and mingw-w64 lacks. Every file of frontends/ includes it first (-include) in a build
 * for Windows. posix/ has headers, mem/base/compat/ the rest.
 *
 * Files are binary. C has no stream of one's own on Windows: one that open_memstream or funopen makes is the null
 * device's, and the functions below give its text to where it belongs. */
#ifndef WINDOWS_HOST_H
#define WINDOWS_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include "mem/base/compat/file.h"

#define PIPE_BUF 512
typedef int uid_t;
static inline uid_t geteuid(void) { return 0; }
enum { _SC_PHYS_PAGES, _SC_PAGESIZE };
long sysconf(int name);

#ifndef __USE_MINGW_ANSI_STDIO
#error formats are those of C
#endif
#define HOST_FORMAT(at, arguments) __attribute__((format(gnu_printf, at, arguments)))

char *host_strndup(const char *text, size_t len);
ssize_t host_getline(char **line, size_t *room, FILE *file); /* a CR before the newline is none */
FILE *host_fopen(const char *path, const char *mode);        /* "e" is known, and text is binary */
FILE *host_open_memstream(char **text, size_t *len);         /* they are set by fclose */
FILE *host_funopen(const void *cookie, int (*read)(void *, char *, int),
		   int (*write)(void *, const char *, int), void *seek, void *close);
int host_fclose(FILE *file);
size_t host_fwrite(const void *data, size_t size, size_t count, FILE *file);
int host_fputs(const char *text, FILE *file);
int host_putc(int c, FILE *file);
int host_vfprintf(FILE *file, const char *format, va_list ap) HOST_FORMAT(2, 0);
int host_fprintf(FILE *file, const char *format, ...) HOST_FORMAT(2, 3);

#ifndef HOST_ITSELF
#undef putc
#undef fputc
#define strndup host_strndup
#define getline host_getline
#define fopen host_fopen
#define open_memstream host_open_memstream
#define funopen host_funopen
#define fclose host_fclose
#define fwrite host_fwrite
#define fputs host_fputs
#define putc host_putc
#define fputc host_putc
#define vfprintf host_vfprintf
#define fprintf host_fprintf
#endif

#endif
