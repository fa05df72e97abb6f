/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "pcap.h"

struct pcap {
	FILE *file;
	int error;
};

static void put(struct pcap *pcap, const void *data, size_t len)
{
	if (!pcap->error && fwrite(data, 1, len, pcap->file) < len)
		pcap->error = errno ? errno : EIO;
}

/* Header: magic (nanoseconds)  version 2.4  zone, accuracy 0  longest frame  link type 1, Ethernet */
struct pcap *pcap_open(const char *path)
{
	static const uint32_t header[6] = { 0xa1b23c4d, 4 << 16 | 2, 0, 0, 262144, 1 };
	struct pcap *pcap = calloc(1, sizeof *pcap);

	if (!pcap)
		return NULL;
	pcap->file = fopen(path, "wbe");
	if (!pcap->file) {
		free(pcap);
		return NULL;
	}
	put(pcap, header, sizeof header);
	return pcap;
}

bool pcap_close(struct pcap *pcap)
{
	int error = pcap->error;

	if (fclose(pcap->file) && !error)
		error = errno;
	free(pcap);
	errno = error;
	return !error;
}

void pcap_frame(struct pcap *pcap, uint64_t ns, const void *frame, size_t len)
{
	uint32_t header[4] = { (uint32_t)(ns / 1000000000), (uint32_t)(ns % 1000000000), (uint32_t)len, (uint32_t)len };

	put(pcap, header, sizeof header);
	put(pcap, frame, len);
}
