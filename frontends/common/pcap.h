/* SPDX-License-Identifier: MIT */
/* A capture file (pcap, as tcpdump and Wireshark read it) with times in nanoseconds. */
#ifndef COMMON_PCAP_H
#define COMMON_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcap;

/* NULL, with errno, if the file cannot be made. */
struct pcap *pcap_open(const char *path);
/* False, with errno, if some of it could not be written. */
bool pcap_close(struct pcap *pcap);
void pcap_frame(struct pcap *pcap, uint64_t ns, const void *frame, size_t len);

#endif
