/* SPDX-License-Identifier: MIT */
/* The shared folder at the other end of VCPU_SHARE: a 9P2000.L server (documented in the Linux kernel and in diod's
 * protocol.md) for one directory.
 *
 *     guest --- VCPU_SHARE output ---> share_request ---> the host's files
 *     guest <-- vcpu_input --------- share_deliver <---'
 *
 * A guest cannot leave the directory: names are single components, opened one by one below the descriptor of the one
 * before and never through a symbolic link; ".." leads nowhere. Only regular files and directories are opened.
 * Without "rw" nothing is written. The guest's user and group ids are not used: files are accessed as the user of the
 * program. An incomplete message changes nothing.
 *
 * The host's memory for a guest is bounded: 4096 fids, two descriptors each (fewer where the host's limit is
 * lower: 64 are left to the program); 5 MiB of names of directories that are being read, in 16 pieces of at most
 * 1024; 64 MiB of answers; messages of 512 KiB. */
#ifndef COMMON_SHARE_H
#define COMMON_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <vcpu.h>

struct share;

/* SPEC is "DIRECTORY[,rw][,tag=NAME]". NULL with a malloc'd line in *ERROR. */
struct share *share_open(const char *spec, char **error);
void share_close(struct share *share); /* NULL is fine */
/* The mount tag, for the configuration: "share" by default. */
const char *share_tag(const struct share *share);
/* A request from the guest. The answer waits for share_deliver. */
void share_request(struct share *share, const void *request, size_t len);
/* Between two calls of vcpu_run. */
void share_deliver(struct share *share, vcpu *machine);

#endif
