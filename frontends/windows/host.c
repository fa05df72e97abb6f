/* SPDX-License-Identifier: MIT */
/* host.h describes it. */
#define HOST_ITSELF
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <io.h>
#include <windows.h>
#include "host.h"

enum { STREAMS = 16 };
static struct stream {
	FILE *file;    /* NULL: free */
	char **text;   /* of memory: whose it will be */
	size_t *len;
	char *data;
	size_t used, room;
	bool failed;
	int (*write)(void *cookie, const char *data, int len); /* NULL: of memory */
	void *cookie;
} streams[STREAMS];

/* stdin, stdout and stderr are as the guest and POSIX's files are. getopt() tells the program by its name alone. */
__attribute__((constructor)) static void begin(void)
{
	char *name = __argc ? __argv[0] : NULL, *end;

	_fmode = _O_BINARY;
	for (int fd = 0; fd < 3; fd++)
		_setmode(fd, _O_BINARY);
	for (char *c = name; c && *c; c++)
		if (*c == '/' || *c == '\\' || *c == ':')
			name = c + 1;
	end = name ? strrchr(name, '.') : NULL;
	if (end)
		*end = 0;
	if (name)
		__argv[0] = name;
}

long sysconf(int name)
{
	MEMORYSTATUSEX memory = { .dwLength = sizeof memory };

	if (name == _SC_PAGESIZE)
		return 4096;
	return GlobalMemoryStatusEx(&memory) ? (long)(memory.ullTotalPhys / 4096) : -1;
}

static struct stream *stream_of(const FILE *file)
{
	for (struct stream *s = streams; file && s < streams + STREAMS; s++)
		if (s->file == file)
			return s;
	return NULL;
}

static struct stream *stream_new(void)
{
	for (struct stream *s = streams; s < streams + STREAMS; s++)
		if (!s->file) {
			*s = (struct stream){ .file = fopen("NUL", "wb") };
			return s->file ? s : NULL;
		}
	errno = EMFILE;
	return NULL;
}

/* With a zero behind. */
static void keep(struct stream *s, const char *data, size_t len)
{
	if (s->room - s->used <= len) {
		size_t room = 2 * s->room + len + 64;
		char *more = realloc(s->data, room);

		if (!more) {
			s->failed = true;
			return;
		}
		s->data = more;
		s->room = room;
	}
	memcpy(s->data + s->used, data, len);
	s->data[s->used += len] = 0;
}

static void give(struct stream *s, const char *data, size_t len)
{
	if (!s->write)
		keep(s, data, len);
	for (size_t n; s->write && len; data += n, len -= n) {
		n = len < INT_MAX ? len : INT_MAX;
		s->write(s->cookie, data, (int)n);
	}
}

FILE *host_open_memstream(char **text, size_t *len)
{
	struct stream *s = stream_new();

	if (!s)
		return NULL;
	s->text = text;
	s->len = len;
	keep(s, "", 0);
	return s->file;
}

FILE *host_funopen(const void *cookie, int (*read)(void *, char *, int), int (*write)(void *, const char *, int),
		   void *seek, void *close)
{
	struct stream *s = stream_new();

	(void)read, (void)seek, (void)close;
	if (!s)
		return NULL;
	s->write = write;
	s->cookie = (void *)cookie;
	return s->file;
}

int host_fclose(FILE *file)
{
	struct stream *s = stream_of(file);
	bool failed = s && s->failed;

	if (s && s->text) {
		*s->text = failed ? NULL : s->data;
		*s->len = s->used;
		if (failed)
			free(s->data);
	}
	if (s)
		s->file = NULL;
	return fclose(file) || failed ? EOF : 0;
}

size_t host_fwrite(const void *data, size_t size, size_t count, FILE *file)
{
	struct stream *s = stream_of(file);

	if (!s)
		return fwrite(data, size, count, file);
	give(s, data, size * count);
	return count;
}

int host_fputs(const char *text, FILE *file)
{
	size_t len = strlen(text);

	return host_fwrite(text, 1, len, file) == len ? 0 : EOF;
}

int host_putc(int c, FILE *file)
{
	char byte = (char)c;

	return host_fwrite(&byte, 1, 1, file) == 1 ? (unsigned char)c : EOF;
}

int host_vfprintf(FILE *file, const char *format, va_list ap)
{
	struct stream *s = stream_of(file);
	va_list again;
	char *text;
	int len;

	if (!s)
		return vfprintf(file, format, ap);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = len < 0 ? NULL : malloc((size_t)len + 1);
	if (!text) {
		s->failed = true;
		return -1;
	}
	vsnprintf(text, (size_t)len + 1, format, ap);
	give(s, text, (size_t)len);
	free(text);
	return len;
}

int host_fprintf(FILE *file, const char *format, ...)
{
	va_list ap;
	int len;

	va_start(ap, format);
	len = host_vfprintf(file, format, ap);
	va_end(ap);
	return len;
}

FILE *host_fopen(const char *path, const char *mode)
{
	char ours[8] = { *mode, 'b', 'N' };

	return fopen(path, ours);
}

char *host_strndup(const char *text, size_t len)
{
	size_t n = strnlen(text, len);
	char *copy = malloc(n + 1);

	if (copy) {
		memcpy(copy, text, n);
		copy[n] = 0;
	}
	return copy;
}

ssize_t host_getline(char **line, size_t *room, FILE *file)
{
	size_t n = 0;

	for (int c; (c = getc(file)) != EOF;) {
		if (n + 2 > *room) {
			size_t more = 2 * *room + 128;
			char *grown = realloc(*line, more);

			if (!grown)
				return -1;
			*line = grown;
			*room = more;
		}
		if (c == '\n' && n && (*line)[n - 1] == '\r')
			n--;
		(*line)[n++] = (char)c;
		if (c == '\n')
			break;
	}
	if (!n)
		return -1;
	(*line)[n] = 0;
	return (ssize_t)n;
}
