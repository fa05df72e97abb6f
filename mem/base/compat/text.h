/* SPDX-License-Identifier: MIT */
/* Functions on text that POSIX.1-2008 lacks, for hosts without them. configure defines HAVE_DECL_..., to 0 or 1. The
 * including file defines _GNU_SOURCE. */
#ifndef COMPAT_TEXT_H
#define COMPAT_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if !HAVE_DECL_STRSEP
static inline char *compat_strsep(char **next, const char *separators)
{
	char *word = *next;

	if (word) {
		*next += strcspn(word, separators);
		if (**next)
			*(*next)++ = 0;
		else
			*next = NULL;
	}
	return word;
}
#define strsep compat_strsep
#endif

#if !HAVE_DECL_VASPRINTF
__attribute__((format(printf, 2, 0)))
static inline int compat_vasprintf(char **text, const char *format, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	*text = len < 0 ? NULL : malloc((size_t)len + 1);
	return *text ? vsnprintf(*text, (size_t)len + 1, format, ap) : -1;
}
#define vasprintf compat_vasprintf
#endif

#if !HAVE_DECL_ASPRINTF
__attribute__((format(printf, 2, 3)))
static inline int compat_asprintf(char **text, const char *format, ...)
{
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(text, format, ap);
	va_end(ap);
	return len;
}
#define asprintf compat_asprintf
#endif

#if !HAVE_DECL_MEMMEM
static inline void *compat_memmem(const void *data, size_t len, const void *wanted, size_t wanted_len)
{
	const char *at = data;

	for (; len >= wanted_len; at++, len--)
		if (!memcmp(at, wanted, wanted_len))
			return (void *)at;
	return NULL;
}
#define memmem compat_memmem
#endif

#if !HAVE_DECL_STRCASESTR
static inline char *compat_strcasestr(const char *text, const char *wanted)
{
	size_t len = strlen(wanted);

	for (; strncasecmp(text, wanted, len); text++)
		if (!*text)
			return NULL;
	return (char *)text;
}
#define strcasestr compat_strcasestr
#endif

/* What errno NUMBER means, in any thread: TEXT, or a text of the host's. */
static inline const char *error_text(int number, char *text, size_t size)
{
#if defined __GLIBC__ && defined _GNU_SOURCE
	return strerror_r(number, text, size);
#elif defined _WIN32
	return strerror_s(text, size, number) ? "unknown error" : text;
#else
	return strerror_r(number, text, size) ? "unknown error" : text;
#endif
}

#endif
