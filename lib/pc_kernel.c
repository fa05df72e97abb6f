/* SPDX-License-Identifier: MIT */
/* A Linux kernel for firmware: the items of fw_cfg in which OVMF looks for one; and for SeaBIOS, which starts none by
 * itself, an option ROM that does what a boot loader does. The kernel's setup code is entered in real mode and has the
 * services of the BIOS (boot.rst, "Running the kernel").
 *
 *     10000  boot sector and setup code, heap and stack up to 20000      20000  command line
 *     100000 the kernel                                                  as high as it may be: initial RAM disk */
#include <stdlib.h>
#include "io/firmware/fwcfg.h"
#include "lib/pc.h"

#define ROM_FILE "genroms/linuxboot.bin"
#define ROM_FOLDER "genroms/" /* firmware that runs the option ROMs in there has this text in it */
#define PIECE (16 * MiB)      /* as much as a request for DMA may have */

/* The option ROM (Plug and Play BIOS Specification 1.0A, 3.2):
 *   signature 0   size in 512 bytes 2   code 3   where the expansion header is 1A
 *   expansion header: signature 0  revision 4  size in 16 bytes 5  sum 9  product 10  kind of device 12  flags 15
 *                     bootstrap entry 1A */
enum { ROM_PNP = 0x20, ROM_ENTRY = 0x40, ROM_COUNT = 0xa0, ROM_HEADER_SIZE = 0xa2, ROM_NAME = 0xa4, ROM_HEADER = 0xc0,
	ROM_REQUESTS = 0x160, REQUEST = 16 };
enum { DMA_READ = 2, DMA_SELECT = 8 };

static const char product[] = "Linux kernel";

static const u8 entry[] = {
	0xfa,                                     /*     cli */
	0xfc,                                     /*     cld */
	0x0e, 0x1f,                               /*     push cs; pop ds */
	0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92,       /*     in al,92h; or al,2; out 92h,al     A20 gate */
	0x66, 0x31, 0xdb,                         /*     xor ebx,ebx */
	0x8c, 0xcb,                               /*     mov bx,cs */
	0x66, 0xc1, 0xe3, 0x04,                   /*     shl ebx,4 */
	0x66, 0x81, 0xc3, ROM_REQUESTS & 0xff, ROM_REQUESTS >> 8, 0, 0, /* add ebx,ROM_REQUESTS */
	0x8b, 0x0e, ROM_COUNT, 0,                 /*     mov cx,[ROM_COUNT] */
	0x66, 0x31, 0xc0,                         /* 1:  xor eax,eax */
	0xba, 0x14, 0x05,                         /*     mov dx,514h */
	0x66, 0xef,                               /*     out dx,eax     the request's address, big-endian */
	0x66, 0x89, 0xd8,                         /*     mov eax,ebx */
	0x86, 0xc4,                               /*     xchg al,ah */
	0x66, 0xc1, 0xc0, 0x10,                   /*     rol eax,16 */
	0x86, 0xc4,                               /*     xchg al,ah */
	0xb2, 0x18,                               /*     mov dl,18h */
	0x66, 0xef,                               /*     out dx,eax */
	0x66, 0x83, 0xc3, REQUEST,                /*     add ebx,REQUEST */
	0xe2, 0xe3,                               /*     loop 1b */
	0xb8, 0x00, LINUX_REAL >> 12,             /*     mov ax,LINUX_REAL / 16 */
	0x8e, 0xc0,                               /*     mov es,ax */
	0xbe, ROM_HEADER, 0,                      /*     mov si,ROM_HEADER */
	0xbf, 0xf1, 0x01,                         /*     mov di,1f1h */
	0x8b, 0x0e, ROM_HEADER_SIZE, 0,           /*     mov cx,[ROM_HEADER_SIZE] */
	0xf3, 0xa4,                               /*     rep movsb */
	0x8e, 0xd8, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8, /* mov ds,ax; mov ss,ax; mov fs,ax; mov gs,ax */
	0xbc, 0xf0, 0xff,                         /*     mov sp,0fff0h */
	0xea, 0x00, 0x00, 0x20, LINUX_REAL >> 12, /*     jmp LINUX_REAL / 16 + 20h:0 */
};

static u8 sum_of(const u8 *p, size_t n)
{
	u8 sum = 0;

	while (n--)
		sum = (u8)(sum + *p++);
	return sum;
}

/* Requests for all LEN bytes of ITEM, which go to ADDRESS: written from *AT on. */
static void put_requests(u8 **at, u16 item, u32 len, u64 address)
{
	for (u32 done = 0, n; done < len; done += n) {
		n = len - done < PIECE ? len - done : PIECE;
		put32(*at, __builtin_bswap32(done ? DMA_READ : (u32)item << 16 | DMA_SELECT | DMA_READ));
		put32(*at + 4, __builtin_bswap32(n));
		put64(*at + 8, __builtin_bswap64(address + done));
		*at += REQUEST;
	}
}

static bool add_rom(struct pc *pc)
{
	const struct boot *boot = &pc->v->boot;
	u64 initrd = boot->nmodules ? boot->modules[0].size : 0;
	size_t pieces = 4 + (size_t)((boot->kernel.size + initrd) / PIECE);
	size_t size = (ROM_REQUESTS + pieces * REQUEST + 1 + 511) & ~(size_t)511;
	struct linux_setup setup;
	u8 *rom, *at, *pnp;
	bool ok;

	if (!linux_in_real_mode(pc->v, &setup, pc->error))
		return false;
	rom = calloc(1, size);
	if (!rom)
		return false;
	at = rom + ROM_REQUESTS;
	pnp = rom + ROM_PNP;
	put16(rom, 0xaa55);
	rom[2] = (u8)(size / 512);
	rom[3] = 0xcb; /* retf: there is nothing to initialise */
	put16(rom + 0x1a, ROM_PNP);
	memcpy(pnp, "$PnP", 4);
	pnp[4] = 1;
	pnp[5] = 2;
	put16(pnp + 0x10, ROM_NAME);
	pnp[0x12] = 0xff; /* none of the kinds that there are */
	pnp[0x15] = 0x64; /* read-only, shadowed, can be started from */
	put16(pnp + 0x1a, ROM_ENTRY);
	pnp[9] = (u8)-sum_of(pnp, 32);
	memcpy(rom + ROM_ENTRY, entry, sizeof entry);
	memcpy(rom + ROM_NAME, product, sizeof product);
	memcpy(rom + ROM_HEADER, setup.header, setup.header_size);
	put16(rom + ROM_HEADER_SIZE, (u16)setup.header_size);
	put_requests(&at, FWCFG_SETUP, setup.size, LINUX_REAL);
	put_requests(&at, FWCFG_KERNEL, (u32)boot->kernel.size - setup.size, 0x100000);
	put_requests(&at, FWCFG_CMDLINE, (u32)strlen(boot->append) + 1, LINUX_REAL_CMDLINE);
	put_requests(&at, FWCFG_INITRD, (u32)initrd, setup.initrd);
	put16(rom + ROM_COUNT, (u16)((at - rom - ROM_REQUESTS) / REQUEST));
	rom[size - 1] = (u8)-sum_of(rom, size);
	ok = fwcfg_add_file(pc->fwcfg, ROM_FILE, rom, (u32)size);
	free(rom);
	return ok;
}

const char *pc_kernel_rom(const struct pc *pc)
{
	const struct boot *boot = &pc->v->boot;
	const size_t len = strlen(ROM_FOLDER);

	for (size_t at = 0; boot->kernel.data && at + len <= boot->bios.size; at++)
		if (!memcmp(boot->bios.data + at, ROM_FOLDER, len))
			return ROM_FILE;
	return NULL;
}

bool pc_describe_kernel(struct pc *pc)
{
	const struct boot *boot = &pc->v->boot;
	struct fwcfg *fw = pc->fwcfg;
	const struct blob *kernel = &boot->kernel;
	const struct blob *initrd = boot->nmodules ? boot->modules : &(struct blob){ .size = 0 };
	u32 setup;

	if (!kernel->data)
		return true;
	setup = linux_setup_size(kernel);
	if (kernel->size <= setup)
		return error_set(pc->error, "%s: truncated: there is setup code only", kernel->name);
	return fwcfg_add_number(fw, FWCFG_SETUP_SIZE, setup, 4) && fwcfg_add(fw, FWCFG_SETUP, kernel->data, setup) &&
		fwcfg_add_number(fw, FWCFG_KERNEL_SIZE, kernel->size - setup, 4) &&
		fwcfg_add(fw, FWCFG_KERNEL, kernel->data + setup, (u32)(kernel->size - setup)) &&
		fwcfg_add_number(fw, FWCFG_INITRD_SIZE, initrd->size, 4) &&
		(!initrd->size || fwcfg_add(fw, FWCFG_INITRD, initrd->data, (u32)initrd->size)) &&
		fwcfg_add_number(fw, FWCFG_CMDLINE_SIZE, strlen(boot->append) + 1, 4) &&
		fwcfg_add(fw, FWCFG_CMDLINE, boot->append, (u32)strlen(boot->append) + 1) &&
		(!pc_kernel_rom(pc) || add_rom(pc));
}
