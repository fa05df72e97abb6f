/* SPDX-License-Identifier: MIT */
/* VM entries (SDM vol. 3, chapter 26): checks of the controls and of the host's state (26.2), of the guest's (26.3),
 * and the load of the guest's. */
#include "cpu/cet.h"
#include "cpu/observe.h"
#include "cpu/system/system.h"

enum { ERROR_NOT_CLEAR = 4, ERROR_NOT_LAUNCHED = 5, ERROR_CONTROLS = 7, ERROR_HOST = 8, ERROR_MOV_SS = 26 };

/* ---- what fails ---- */

/* A check: is it OK? If not, F gets the field and RULE, which goes on from its value: "is ..., lacks ...". */
static bool check(struct vm_check *f, bool ok, enum vmcs_field field, const char *rule)
{
	if (!ok)
		*f = (struct vm_check){ field, rule };
	return ok;
}

/* ---- controls (26.2.1) ---- */

static bool within(const struct cpu *c, struct vm_check *f, u32 value, u32 capability, enum vmcs_field field)
{
	u64 m = vmx_capability(c, capability);

	return check(f, (value & (u32)m) == (u32)m, field,
		     "has a bit clear that the capability MSR wants set (26.2.1; appendix A.3 to A.5)") &&
	       check(f, !(value & ~(u32)(m >> 32)), field,
		     "has a bit set that the capability MSR does not allow (26.2.1; appendix A.3 to A.5)");
}

static void read_controls(const struct cpu *c, struct vmx_controls *k)
{
	*k = (struct vmx_controls){
		.pin = (u32)vmcs_get(c, VMCS_PIN_CONTROLS), .proc = (u32)vmcs_get(c, VMCS_PROC_CONTROLS),
		.exit = (u32)vmcs_get(c, VMCS_EXIT_CONTROLS), .entry = (u32)vmcs_get(c, VMCS_ENTRY_CONTROLS),
		.exceptions = (u32)vmcs_get(c, VMCS_EXCEPTION_BITMAP), .pf_mask = (u32)vmcs_get(c, VMCS_PF_ERROR_MASK),
		.pf_match = (u32)vmcs_get(c, VMCS_PF_ERROR_MATCH),
		.cr3_targets = (u32)vmcs_get(c, VMCS_CR3_TARGET_COUNT),
		.tpr_threshold = (u32)vmcs_get(c, VMCS_TPR_THRESHOLD), .cr0_mask = vmcs_get(c, VMCS_CR0_MASK),
		.cr0_shadow = vmcs_get(c, VMCS_CR0_SHADOW), .cr4_mask = vmcs_get(c, VMCS_CR4_MASK),
		.cr4_shadow = vmcs_get(c, VMCS_CR4_SHADOW), .io_a = vmcs_get(c, VMCS_IO_BITMAP_A),
		.io_b = vmcs_get(c, VMCS_IO_BITMAP_B), .msr_bitmap = vmcs_get(c, VMCS_MSR_BITMAP),
		.virtual_apic = vmcs_get(c, VMCS_VIRTUAL_APIC), .tsc_offset = vmcs_get(c, VMCS_TSC_OFFSET),
	};
	if (k->proc & PROC_SECONDARY)
		k->secondary = (u32)vmcs_get(c, VMCS_SECONDARY_CONTROLS);
	if (k->secondary & SEC_APIC_ACCESS)
		k->apic_access = vmcs_get(c, VMCS_APIC_ACCESS);
	if (k->secondary & SEC_EPT)
		k->eptp = vmcs_get(c, VMCS_EPT_POINTER);
	if (k->secondary & SEC_XSAVES)
		k->xss_bitmap = vmcs_get(c, VMCS_XSS_EXITING_BITMAP);
	if (k->secondary & SEC_PLE) {
		k->ple_gap = (u32)vmcs_get(c, VMCS_PLE_GAP);
		k->ple_window = (u32)vmcs_get(c, VMCS_PLE_WINDOW);
	}
	for (unsigned i = 0; i < ARRAY_LEN(k->cr3_target); i++)
		k->cr3_target[i] = vmcs_get(c, vmcs_nth(VMCS_CR3_TARGET0, i));
}

static bool msr_area_ok(const struct cpu *c, struct vm_check *f, enum vmcs_field at, enum vmcs_field count)
{
	u64 first = vmcs_get(c, at), n = vmcs_get(c, count);

	return !n || (check(f, !(first & 15), at, "is not a multiple of 16 (26.2.1)") &&
		      check(f, !((first + n * 16 - 1) >> c->model->physical_bits) && !(first >> 52), at,
			    "and its count lead beyond the physical addresses (26.2.1)"));
}

/* 26.2.1.3: is it an event that the processor could deliver? */
static bool injection_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	const enum vmcs_field field = VMCS_ENTRY_INTERRUPTION;
	u32 info = (u32)vmcs_get(c, field), error = (u32)vmcs_get(c, VMCS_ENTRY_ERROR_CODE);
	u64 length = vmcs_get(c, VMCS_ENTRY_INSTRUCTION_LENGTH);
	unsigned type = info >> 8 & 7, vector = info & 0xff;
	bool pe = !(k->secondary & SEC_UNRESTRICTED) || vmcs_get(c, VMCS_GUEST_CR0) & CR0_PE;
	bool fred = vmcs_get(c, VMCS_GUEST_CR4) & CR4_FRED;
	bool pushes = vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;

	if (!(info & INTERRUPTION_VALID))
		return true;
	return check(f, !(info & 0x7fffd000), field, "has one of bits 30-14 and 12 set (26.2.1.3)") &&
	       check(f, !(info & INTERRUPTION_NESTED) ||
			     (type == EVENT_TYPE_HARDWARE && vmx_capability(c, 0x480) >> 58 & 1), field,
		     "is nested, and no hardware exception, or the processor has no FRED (26.2.1.3)") &&
	       check(f, type != 1, field, "has the reserved type 1 (26.2.1.3)") &&
	       check(f, type != EVENT_TYPE_OTHER || vector <= (fred ? FRED_SYSENTER : 0), field,
		     "is another event than the monitor trap flag's, and, with FRED, SYSCALL and SYSENTER (26.2.1.3)") &&
	       check(f, type != EVENT_TYPE_NMI || vector == VEC_NMI, field,
		     "is an NMI with another vector than 2 (26.2.1.3)") &&
	       check(f, type != EVENT_TYPE_HARDWARE || vector <= 31, field,
		     "is a hardware exception with a vector above 31 (26.2.1.3)") &&
	       check(f, (pe && type == EVENT_TYPE_HARDWARE && vmx_capability(c, 0x480) >> 56 & 1) ||
			     !(info & INTERRUPTION_ERROR) == !(pe && type == EVENT_TYPE_HARDWARE && pushes), field,
		     "has bit 11 (an error code) not as its exception has it (26.2.1.3)") &&
	       check(f, !(info & INTERRUPTION_ERROR) || !(error >> 15), VMCS_ENTRY_ERROR_CODE,
		     "has one of bits 31-15 set (26.2.1.3)") &&
	       check(f, type < EVENT_TYPE_SOFTWARE || (type == EVENT_TYPE_OTHER && !vector) || length <= 15,
		     VMCS_ENTRY_INSTRUCTION_LENGTH, "is more than 15 (26.2.1.3)");
}

static const char not_a_page[] = "is not the physical address of a page (26.2.1.1)";

/* Of a structure that begins at a multiple of SIZE. */
static bool aligned(const struct cpu *c, u64 v, u64 size)
{
	return !(v & (size - 1)) && !(v >> c->model->physical_bits);
}

static bool posted_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	return !(k->pin & PIN_POSTED) ||
	       (check(f, k->secondary & SEC_VIRTUAL_INTR, VMCS_PIN_CONTROLS,
		      "has \"process posted interrupts\" without \"virtual-interrupt delivery\" (26.2.1.1)") &&
		check(f, k->exit & EXIT_ACK_INTR, VMCS_PIN_CONTROLS,
		      "has \"process posted interrupts\" without \"acknowledge interrupt on exit\" (26.2.1.1)") &&
		check(f, !(vmcs_get(c, VMCS_POSTED_VECTOR) >> 8), VMCS_POSTED_VECTOR,
		      "has one of bits 15-8 set (26.2.1.1)") &&
		check(f, aligned(c, vmcs_get(c, VMCS_POSTED_DESCRIPTOR), 64), VMCS_POSTED_DESCRIPTOR,
		      "is not a physical address that is a multiple of 64 (26.2.1.1)"));
}

/* The virtual APIC. */
static bool apic_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	const u32 need_shadow = SEC_X2APIC | SEC_APIC_REGISTERS | SEC_VIRTUAL_INTR;
	u32 s = k->secondary;
	bool shadow = k->proc & PROC_TPR_SHADOW, threshold = shadow && !(s & SEC_VIRTUAL_INTR);

	return check(f, shadow || !(s & need_shadow), VMCS_SECONDARY_CONTROLS,
		     "virtualises an APIC without \"use TPR shadow\" (26.2.1.1)") &&
	       check(f, !shadow || vm_page_ok(c, k->virtual_apic), VMCS_VIRTUAL_APIC, not_a_page) &&
	       check(f, !threshold || !(k->tpr_threshold >> 4), VMCS_TPR_THRESHOLD,
		     "has one of bits 31-4 set (26.2.1.1)") &&
	       check(f, !threshold || s & SEC_APIC_ACCESS ||
			k->tpr_threshold <= vm_read(c, k->virtual_apic + 0x80, 1) >> 4, VMCS_TPR_THRESHOLD,
		     "is above bits 7-4 of the virtual TPR (26.2.1.1)") &&
	       check(f, !(s & SEC_APIC_ACCESS) || !(s & SEC_X2APIC), VMCS_SECONDARY_CONTROLS,
		     "has \"virtualize APIC accesses\" and \"virtualize x2APIC mode\" (26.2.1.1)") &&
	       check(f, !(s & SEC_APIC_ACCESS) || vm_page_ok(c, k->apic_access), VMCS_APIC_ACCESS, not_a_page) &&
	       check(f, !(s & SEC_VIRTUAL_INTR) || k->pin & PIN_INTR, VMCS_SECONDARY_CONTROLS,
		     "has \"virtual-interrupt delivery\" without \"external-interrupt exiting\" (26.2.1.1)") &&
	       posted_ok(c, f, k);
}

static bool tertiary_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	u64 t = k->proc & PROC_TERTIARY ? vmcs_get(c, VMCS_TERTIARY_CONTROLS) : 0, table;

	if (!check(f, !(t & ~vmx_tertiary_allowed(c->model)), VMCS_TERTIARY_CONTROLS,
		   "has a bit set that IA32_VMX_PROCBASED_CTLS3 does not allow (26.2.1.1; appendix A.3.4)"))
		return false;
	if (!(t & TERTIARY_IPI))
		return true;
	table = vmcs_get(c, VMCS_PID_TABLE);
	return check(f, k->proc & PROC_TPR_SHADOW, VMCS_TERTIARY_CONTROLS,
		     "has \"IPI virtualization\" without \"use TPR shadow\" (26.2.1.1)") &&
	       check(f, aligned(c, table, 8), VMCS_PID_TABLE,
		     "is not a physical address that is a multiple of 8 (26.2.1.1)") &&
	       check(f, !((table + 8 * vmcs_get(c, VMCS_LAST_PID_INDEX)) >> c->model->physical_bits), VMCS_LAST_PID_INDEX,
		     "leads beyond the physical addresses (26.2.1.1)");
}

/* With the control S, FIELD is the address of a page. */
static bool page_if(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k, u32 s,
		    enum vmcs_field field)
{
	return check(f, !(k->secondary & s) || vm_page_ok(c, vmcs_get(c, field)), field, not_a_page);
}

static bool ept_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	bool ept = k->secondary & SEC_EPT;

	return check(f, !ept || ept_pointer_ok(c, k->eptp), VMCS_EPT_POINTER,
		     "has a memory type, a number of levels or a reserved bit that there is not (26.2.1.1)") &&
	       check(f, ept || !(k->secondary & SEC_UNRESTRICTED), VMCS_SECONDARY_CONTROLS,
		     "has \"unrestricted guest\" without \"enable EPT\" (26.2.1.1)") &&
	       check(f, ept || !(k->secondary & (SEC_PML | SEC_MBEC)), VMCS_SECONDARY_CONTROLS,
		     "has PML or mode-based execute control without \"enable EPT\" (26.2.1.1)") &&
	       page_if(c, f, k, SEC_PML, VMCS_PML_ADDRESS) && page_if(c, f, k, SEC_VE, VMCS_VE_INFORMATION);
}

static bool functions_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	u64 functions = k->secondary & SEC_VMFUNC ? vmcs_get(c, VMCS_VM_FUNCTION_CONTROLS) : 0;

	return !functions ||
	       (check(f, !(functions & ~(u64)VM_FUNCTIONS), VMCS_VM_FUNCTION_CONTROLS,
		      "has a bit set that IA32_VMX_VMFUNC does not allow (26.2.1.1)") &&
		check(f, k->secondary & SEC_EPT, VMCS_VM_FUNCTION_CONTROLS,
		      "has \"EPTP switching\" without \"enable EPT\" (26.2.1.1)") &&
		page_if(c, f, k, SEC_VMFUNC, VMCS_EPTP_LIST));
}

static bool controls_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	return within(c, f, k->pin, 0x48d, VMCS_PIN_CONTROLS) && within(c, f, k->proc, 0x48e, VMCS_PROC_CONTROLS) &&
	       within(c, f, k->exit, 0x48f, VMCS_EXIT_CONTROLS) &&
	       check(f, !vmx_exit2(c, k->exit, ~vmx_capability(c, 0x493)), VMCS_SECONDARY_EXIT_CONTROLS,
		     "has a bit set that IA32_VMX_EXIT_CTLS2 does not allow (26.2.1.2; appendix A.4.2)") &&
	       within(c, f, k->entry, 0x490, VMCS_ENTRY_CONTROLS) &&
	       (!(k->proc & PROC_SECONDARY) || within(c, f, k->secondary, 0x48b, VMCS_SECONDARY_CONTROLS)) &&
	       tertiary_ok(c, f, k) &&
	       check(f, k->cr3_targets <= 4, VMCS_CR3_TARGET_COUNT, "is above 4 (26.2.1.1)") &&
	       check(f, !(k->proc & PROC_IO_BITMAPS) || vm_page_ok(c, k->io_a), VMCS_IO_BITMAP_A, not_a_page) &&
	       check(f, !(k->proc & PROC_IO_BITMAPS) || vm_page_ok(c, k->io_b), VMCS_IO_BITMAP_B, not_a_page) &&
	       check(f, !(k->proc & PROC_MSR_BITMAPS) || vm_page_ok(c, k->msr_bitmap), VMCS_MSR_BITMAP, not_a_page) &&
	       apic_ok(c, f, k) &&
	       check(f, k->pin & PIN_NMI || !(k->pin & PIN_VIRTUAL_NMI), VMCS_PIN_CONTROLS,
		     "has \"virtual NMIs\" without \"NMI exiting\" (26.2.1.1)") &&
	       check(f, k->pin & PIN_VIRTUAL_NMI || !(k->proc & PROC_NMI_WINDOW), VMCS_PROC_CONTROLS,
		     "has \"NMI-window exiting\" without \"virtual NMIs\" (26.2.1.1)") &&
	       ept_ok(c, f, k) && functions_ok(c, f, k) && page_if(c, f, k, SEC_SHADOW, VMCS_VMREAD_BITMAP) &&
	       page_if(c, f, k, SEC_SHADOW, VMCS_VMWRITE_BITMAP) &&
	       page_if(c, f, k, SEC_PASID, VMCS_LOW_PASID_DIRECTORY) &&
	       page_if(c, f, k, SEC_PASID, VMCS_HIGH_PASID_DIRECTORY) &&
	       check(f, !(k->secondary & SEC_TSC_SCALING) || vmcs_get(c, VMCS_TSC_MULTIPLIER), VMCS_TSC_MULTIPLIER,
		     "is 0 (26.2.1.1)") &&
	       check(f, !(k->secondary & SEC_VPID) || vmcs_get(c, VMCS_VPID), VMCS_VPID,
		     "is 0 with \"enable VPID\" (26.2.1.1)") &&
	       check(f, k->pin & PIN_TIMER || !(k->exit & EXIT_SAVE_TIMER), VMCS_EXIT_CONTROLS,
		     "saves the value of a VMX-preemption timer that is not active (26.2.1.2)") &&
	       msr_area_ok(c, f, VMCS_EXIT_MSR_STORE, VMCS_EXIT_MSR_STORE_COUNT) &&
	       msr_area_ok(c, f, VMCS_EXIT_MSR_LOAD, VMCS_EXIT_MSR_LOAD_COUNT) &&
	       msr_area_ok(c, f, VMCS_ENTRY_MSR_LOAD, VMCS_ENTRY_MSR_LOAD_COUNT) && injection_ok(c, f, k);
}

/* ---- values of registers ---- */

static bool fixed_ok(const struct cpu *c, u64 v, u32 ones, u64 waived)
{
	u64 must = vmx_capability(c, ones) & ~waived, may = vmx_capability(c, ones + 1);

	return (v & must) == must && !(v & ~may);
}

/* LMA must be as the control says; LME, too, where it counts. */
static bool efer_ok(const struct cpu *c, u64 v, bool lma, bool lme_counts)
{
	return !(v & ~efer_bits(c->model)) && !(v & EFER_LMA) == !lma && (!lme_counts || !(v & EFER_LME) == !lma);
}

/* IA32_S_CET, SSP and IA32_INTERRUPT_SSP_TABLE_ADDR, which stand one behind the other from FIRST on: those of 64-bit
 * code if WIDE (26.2.2, 26.2.4, 26.3.1.1, 26.3.1.4). */
static bool cet_ok(const struct cpu *c, struct vm_check *f, enum vmcs_field first, bool wide)
{
	enum vmcs_field at_ssp = vmcs_nth(first, 1), table = vmcs_nth(first, 2);
	u64 control = vmcs_get(c, first), ssp = vmcs_get(c, at_ssp);

	return check(f, cet_control_valid(c, control), first, "is no value of IA32_S_CET (26.2.2, 26.3.1.1)") &&
	       check(f, canonical_base(c->model, vmcs_get(c, table)), table, "is not canonical (26.2.2, 26.3.1.1)") &&
	       check(f, !(ssp & 3), at_ssp, "is not a multiple of 4 (26.2.2, 26.3.1.4)") &&
	       check(f, wide ? canonical_base(c->model, ssp) : !(ssp >> 32), at_ssp,
		     "is not canonical, or above 32 bits outside of 64-bit mode (26.2.4, 26.3.1.4)");
}

/* CR4.CET goes with CR0.WP. */
static bool wp_ok(u64 cr0, u64 cr4) { return !(cr4 & CR4_CET) || cr0 & CR0_WP; }

/* The MSRs of FRED, from IA32_FRED_CONFIG on (26.2.2, 26.3.1.1). */
static bool fred_ok(const struct cpu *c, struct vm_check *f, enum vmcs_field first)
{
	static const u16 reserved[] = { 0x834, 0x3f, 0x3f, 0x3f, 0, 7, 7, 7 };
	const unsigned levels = 4; /* any value */

	for (unsigned i = 0; i < ARRAY_LEN(reserved); i++) {
		u64 v = vmcs_get(c, vmcs_nth(first, i));

		if (i != levels && !check(f, !(v & reserved[i]) && canonical_base(c->model, v), vmcs_nth(first, i),
					  "has a reserved bit set, or is not canonical (26.2.2, 26.3.1.1)"))
			return false;
	}
	return true;
}

/* ---- the host's state (26.2.2 to 26.2.4) ---- */

static const char lacks_wp[] = "has CET, and CR0 lacks WP (26.2.2, 26.3.1.1)";
static const char not_pkrs[] = "has one of bits 63-32 set (26.2.2, 26.3.1.1)";
static const char not_global[] = "has a bit that IA32_PERF_GLOBAL_CTRL lacks (26.2.2, 26.3.1.1)";

static const char fixed[] = "has a bit that VMX operation fixes otherwise (23.8; appendix A.7, A.8)";
static const char too_wide[] = "has a bit beyond the physical addresses (26.2.2, 26.3.1.1)";
static const char not_canonical[] = "is not canonical (26.2.2, 26.2.3, 26.3.1)";
static const char bad_pat[] = "has a memory type that there is not (26.2.2, 26.3.1.1)";
static const char bad_efer[] = "has a reserved bit, or an LMA or LME other than the control (26.2.2, 26.3.1.1)";

static bool canonical_ok(const struct cpu *c, struct vm_check *f, enum vmcs_field field)
{
	return check(f, canonical_base(c->model, vmcs_get(c, field)), field, not_canonical);
}

static bool host_addresses_ok(const struct cpu *c, struct vm_check *f)
{
	for (unsigned i = VMCS_HOST_FS_BASE; i <= VMCS_HOST_SYSENTER_EIP; i += 2)
		if (!canonical_ok(c, f, (enum vmcs_field)i))
			return false;
	return true;
}

static bool host_selectors_ok(const struct cpu *c, struct vm_check *f, bool long_host)
{
	static const char null[] = "is 0 (26.2.3)";

	for (unsigned i = VMCS_HOST_ES_SELECTOR; i <= VMCS_HOST_TR_SELECTOR; i += 2)
		if (!check(f, !(vmcs_get(c, (enum vmcs_field)i) & 7), (enum vmcs_field)i,
			   "has an RPL or TI that is not 0 (26.2.3)"))
			return false;
	return check(f, vmcs_get(c, VMCS_HOST_CS_SELECTOR), VMCS_HOST_CS_SELECTOR, null) &&
	       check(f, vmcs_get(c, VMCS_HOST_TR_SELECTOR), VMCS_HOST_TR_SELECTOR, null) &&
	       check(f, long_host || vmcs_get(c, VMCS_HOST_SS_SELECTOR), VMCS_HOST_SS_SELECTOR, null);
}

static bool host_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k)
{
	u64 cr4 = vmcs_get(c, VMCS_HOST_CR4), rip = vmcs_get(c, VMCS_HOST_RIP);
	bool long_host = k->exit & EXIT_HOST_64;

	if (!check(f, fixed_ok(c, vmcs_get(c, VMCS_HOST_CR0), 0x486, 0), VMCS_HOST_CR0, fixed) ||
	    !check(f, fixed_ok(c, cr4, 0x488, 0), VMCS_HOST_CR4, fixed) ||
	    !check(f, wp_ok(vmcs_get(c, VMCS_HOST_CR0), cr4), VMCS_HOST_CR4, lacks_wp) ||
	    (k->exit & EXIT_LOAD_CET && !cet_ok(c, f, VMCS_HOST_S_CET, long_host)) ||
	    (k->exit & EXIT_LOAD_PERF &&
	     !check(f, pmu_global_valid(vmcs_get(c, VMCS_HOST_PERF_GLOBAL_CTRL)), VMCS_HOST_PERF_GLOBAL_CTRL,
		    not_global)) ||
	    (k->exit & EXIT_LOAD_PKRS &&
	     !check(f, !(vmcs_get(c, VMCS_HOST_PKRS) >> 32), VMCS_HOST_PKRS, not_pkrs)) ||
	    (vmx_exit2(c, k->exit, EXIT2_LOAD_FRED) && !fred_ok(c, f, VMCS_HOST_FRED_CONFIG)) ||
	    !check(f, !(vmcs_get(c, VMCS_HOST_CR3) >> c->model->physical_bits), VMCS_HOST_CR3, too_wide) ||
	    !host_addresses_ok(c, f) ||
	    !check(f, !(k->exit & EXIT_LOAD_PAT) || pat_valid(vmcs_get(c, VMCS_HOST_PAT)), VMCS_HOST_PAT, bad_pat) ||
	    !check(f, !(k->exit & EXIT_LOAD_EFER) || efer_ok(c, vmcs_get(c, VMCS_HOST_EFER), long_host, true),
		   VMCS_HOST_EFER, bad_efer) ||
	    !host_selectors_ok(c, f, long_host) ||
	    !check(f, in_long(c) == long_host, VMCS_EXIT_CONTROLS,
		   "has \"host address-space size\" other than EFER.LMA is now (26.2.4)"))
		return false;
	if (long_host)
		return check(f, cr4 & CR4_PAE, VMCS_HOST_CR4, "lacks PAE with a 64-bit host (26.2.4)") &&
		       check(f, canonical_base(c->model, rip), VMCS_HOST_RIP, not_canonical);
	return check(f, !(k->entry & ENTRY_LONG), VMCS_ENTRY_CONTROLS,
		     "has \"IA-32e mode guest\" with a host that is not in that mode (26.2.4)") &&
	       check(f, !(cr4 & CR4_PCIDE), VMCS_HOST_CR4, "has PCIDE without a 64-bit host (26.2.4)") &&
	       check(f, !(cr4 & CR4_FRED), VMCS_HOST_CR4, "has FRED without a 64-bit host (26.2.4)") &&
	       check(f, !(k->exit & EXIT_LOAD_CET) || !(vmcs_get(c, VMCS_HOST_S_CET) >> 32), VMCS_HOST_S_CET,
		     "is above 32 bits without a 64-bit host (26.2.4)") &&
	       check(f, !(rip >> 32), VMCS_HOST_RIP, "is above 32 bits without a 64-bit host (26.2.4)");
}

/* ---- the guest's state (26.3) ---- */

struct guest {
	u64 cr0, cr3, cr4, efer, rflags, rip;
	bool long_mode, v86, unrestricted;
	struct seg seg[8]; /* in the order of the VMCS: ES CS SS DS FS GS LDTR TR */
};
enum { G_ES, G_CS, G_SS, G_DS, G_FS, G_GS, G_LDTR, G_TR };

static struct guest read_guest(const struct cpu *c, const struct vmx_controls *k)
{
	struct guest g = { .cr0 = vmcs_get(c, VMCS_GUEST_CR0), .cr3 = vmcs_get(c, VMCS_GUEST_CR3),
			   .cr4 = vmcs_get(c, VMCS_GUEST_CR4), .rflags = vmcs_get(c, VMCS_GUEST_RFLAGS),
			   .rip = vmcs_get(c, VMCS_GUEST_RIP), .long_mode = k->entry & ENTRY_LONG,
			   .unrestricted = k->secondary & SEC_UNRESTRICTED };

	if (k->entry & ENTRY_LOAD_EFER)
		g.efer = vmcs_get(c, VMCS_GUEST_EFER);
	else
		g.efer = (c->efer & ~(u64)(EFER_LMA | (g.cr0 & CR0_PG ? EFER_LME : 0))) |
			 (g.long_mode ? EFER_LMA | (g.cr0 & CR0_PG ? EFER_LME : 0) : 0);
	g.v86 = g.rflags & FL_VM;
	for (unsigned i = 0; i < 8; i++)
		g.seg[i] = (struct seg){ .sel = (u16)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_SELECTOR, i)),
					 .base = vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_BASE, i)),
					 .limit = (u32)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_LIMIT, i)),
					 .attr = (u32)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_RIGHTS, i)) };
	return g;
}

static bool usable(const struct seg *s) { return !(s->attr & SEG_UNUSABLE); }

/* Limit and G must agree: bits 11-0 all ones with G, bits 31-20 zero without. */
static bool granular(const struct seg *s)
{
	return s->attr & SEG_G ? (s->limit & 0xfff) == 0xfff : !(s->limit >> 20);
}

static bool registers_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k, const struct guest *g)
{
	bool debug = k->entry & ENTRY_LOAD_DEBUG, lma = g->long_mode;

	return check(f, fixed_ok(c, g->cr0, 0x486, g->unrestricted ? CR0_PE | CR0_PG : 0), VMCS_GUEST_CR0, fixed) &&
	       check(f, !(g->cr0 & CR0_PG) || g->cr0 & CR0_PE, VMCS_GUEST_CR0, "has PG without PE (26.3.1.1)") &&
	       check(f, fixed_ok(c, g->cr4, 0x488, 0), VMCS_GUEST_CR4, fixed) &&
	       check(f, wp_ok(g->cr0, g->cr4), VMCS_GUEST_CR4, lacks_wp) &&
	       check(f, !debug || !(vmcs_get(c, VMCS_GUEST_DEBUGCTL) & ~debugctl_bits(c->model)), VMCS_GUEST_DEBUGCTL,
		     "has a reserved bit set (26.3.1.1)") &&
	       check(f, !debug || !(vmcs_get(c, VMCS_GUEST_DR7) >> 32), VMCS_GUEST_DR7,
		     "has one of bits 63-32 set (26.3.1.1)") &&
	       check(f, !lma || g->cr0 & CR0_PG, VMCS_GUEST_CR0, "lacks PG with \"IA-32e mode guest\" (26.3.1.1)") &&
	       check(f, !lma || g->cr4 & CR4_PAE, VMCS_GUEST_CR4, "lacks PAE with \"IA-32e mode guest\" (26.3.1.1)") &&
	       check(f, lma || !(g->cr4 & CR4_PCIDE), VMCS_GUEST_CR4,
		     "has PCIDE without \"IA-32e mode guest\" (26.3.1.1)") &&
	       check(f, lma || !(g->cr4 & CR4_FRED), VMCS_GUEST_CR4,
		     "has FRED without \"IA-32e mode guest\" (26.3.1.1)") &&
	       check(f, !(g->cr3 >> c->model->physical_bits), VMCS_GUEST_CR3, too_wide) &&
	       canonical_ok(c, f, VMCS_GUEST_SYSENTER_ESP) &&
	       canonical_ok(c, f, VMCS_GUEST_SYSENTER_EIP) &&
	       check(f, !(k->entry & ENTRY_LOAD_PAT) || pat_valid(vmcs_get(c, VMCS_GUEST_PAT)), VMCS_GUEST_PAT,
		     bad_pat) &&
	       check(f, !(k->entry & ENTRY_LOAD_EFER) || efer_ok(c, g->efer, lma, g->cr0 & CR0_PG), VMCS_GUEST_EFER,
		     bad_efer) &&
	       (!(k->entry & ENTRY_LOAD_CET) || cet_ok(c, f, VMCS_GUEST_S_CET, lma)) &&
	       (!(k->entry & ENTRY_LOAD_FRED) || fred_ok(c, f, VMCS_GUEST_FRED_CONFIG)) &&
	       check(f, !(k->entry & ENTRY_LOAD_PERF) || pmu_global_valid(vmcs_get(c, VMCS_GUEST_PERF_GLOBAL_CTRL)),
		     VMCS_GUEST_PERF_GLOBAL_CTRL, not_global) &&
	       check(f, !(k->entry & ENTRY_LOAD_PKRS) || !(vmcs_get(c, VMCS_GUEST_PKRS) >> 32), VMCS_GUEST_PKRS,
		     not_pkrs);
}

/* ---- segments (26.3.1.2) ---- */

static enum vmcs_field selector(unsigned i) { return vmcs_nth(VMCS_GUEST_ES_SELECTOR, i); }
static enum vmcs_field base(unsigned i) { return vmcs_nth(VMCS_GUEST_ES_BASE, i); }
static enum vmcs_field limit(unsigned i) { return vmcs_nth(VMCS_GUEST_ES_LIMIT, i); }
static enum vmcs_field rights(unsigned i) { return vmcs_nth(VMCS_GUEST_ES_RIGHTS, i); }

/* In virtual-8086 mode: as real mode has them. */
static bool segments_v86(const struct guest *g, struct vm_check *f)
{
	for (unsigned i = G_ES; i <= G_GS; i++)
		if (!check(f, g->seg[i].base == (u64)g->seg[i].sel << 4, base(i),
			   "is not 16 times its selector in virtual-8086 mode (26.3.1.2)") ||
		    !check(f, g->seg[i].limit == 0xffff, limit(i), "is not FFFFh in virtual-8086 mode (26.3.1.2)") ||
		    !check(f, g->seg[i].attr == 0xf3, rights(i), "are not F3h in virtual-8086 mode (26.3.1.2)"))
			return false;
	return true;
}

/* What all usable segments have in common. */
static bool shape_ok(const struct guest *g, struct vm_check *f, unsigned i, bool system)
{
	const struct seg *s = &g->seg[i];

	return check(f, !(s->attr & SEG_S) == system, rights(i),
		     system ? "have S set, which system segments have not (26.3.1.2)"
			    : "have S clear, which code and data segments have not (26.3.1.2)") &&
	       check(f, s->attr & SEG_P, rights(i), "have P clear (26.3.1.2)") &&
	       check(f, !(s->attr & 0xfffe0f00), rights(i), "have a reserved bit set (26.3.1.2)") &&
	       check(f, granular(s), limit(i), "does not agree with bit G of the access rights (26.3.1.2)");
}

static bool code_ok(const struct guest *g, struct vm_check *f)
{
	const struct seg *cs = &g->seg[G_CS];
	unsigned type = cs->attr & 15, dpl = seg_dpl(cs), stack = seg_dpl(&g->seg[G_SS]);
	bool data = type == 3 && g->unrestricted;

	return check(f, data || (type & 9) == 9, rights(G_CS), "have a type that CS cannot have (26.3.1.2)") &&
	       check(f, data ? !dpl : type & 4 ? dpl <= stack : dpl == stack, rights(G_CS),
		     "have a DPL that does not agree with the type and with SS's DPL (26.3.1.2)") &&
	       shape_ok(g, f, G_CS, false) &&
	       check(f, !(g->long_mode && cs->attr & SEG_L && cs->attr & SEG_DB), rights(G_CS),
		     "have both L and D (26.3.1.2)");
}

/* With FRED there are two rings, and ring 0 is 64-bit code. */
static bool fred_rings_ok(const struct cpu *c, const struct guest *g, struct vm_check *f)
{
	unsigned dpl = seg_dpl(&g->seg[G_SS]);

	if (!(g->cr4 & CR4_FRED))
		return true;
	return check(f, !dpl || dpl == 3, rights(G_SS), "have a DPL of 1 or 2 with FRED (26.3.1.2)") &&
	       check(f, dpl || g->seg[G_CS].attr & SEG_L, rights(G_CS), "lack L in ring 0 with FRED (26.3.1.2)") &&
	       check(f, !dpl || !(g->rflags & FL_IOPL), VMCS_GUEST_RFLAGS, "has an IOPL in ring 3 with FRED (26.3.1.2)") &&
	       check(f, !dpl || !(vmcs_get(c, VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_STI), VMCS_GUEST_INTERRUPTIBILITY,
		     "has blocking by STI in ring 3 with FRED (26.3.1.2)");
}

static bool stack_ok(const struct guest *g, struct vm_check *f)
{
	const struct seg *cs = &g->seg[G_CS], *ss = &g->seg[G_SS];
	unsigned type = ss->attr & 15;

	return check(f, g->unrestricted || (ss->sel & 3) == (cs->sel & 3), selector(G_SS),
		     "has another RPL than CS (26.3.1.2)") &&
	       check(f, g->unrestricted || seg_dpl(ss) == (ss->sel & 3u), rights(G_SS),
		     "have a DPL that is not the RPL (26.3.1.2)") &&
	       check(f, ((cs->attr & 15) != 3 && g->cr0 & CR0_PE) || !seg_dpl(ss), rights(G_SS),
		     "have a DPL that is not 0 in real mode, or with a CS of type 3 (26.3.1.2)") &&
	       (!usable(ss) || (check(f, type == 3 || type == 7, rights(G_SS),
				      "have a type that SS cannot have (26.3.1.2)") &&
				shape_ok(g, f, G_SS, false)));
}

static bool data_ok(const struct guest *g, struct vm_check *f, unsigned i)
{
	const struct seg *s = &g->seg[i];
	unsigned type = s->attr & 15;

	if (!usable(s))
		return true;
	return check(f, type & 1 && (!(type & 8) || type & 2), rights(i),
		     "have a type that is not accessed, or is code that cannot be read (26.3.1.2)") &&
	       check(f, g->unrestricted || type >= 12 || seg_dpl(s) >= (s->sel & 3u), rights(i),
		     "have a DPL below the RPL (26.3.1.2)") &&
	       shape_ok(g, f, i, false);
}

static bool system_ok(const struct cpu *c, const struct guest *g, struct vm_check *f)
{
	static const char ti[] = "has TI set (26.3.1.2)";
	const struct seg *tr = &g->seg[G_TR], *ldtr = &g->seg[G_LDTR];
	unsigned type = tr->attr & 15;

	if (!check(f, !(tr->sel & 4), selector(G_TR), ti) ||
	    !check(f, canonical_base(c->model, tr->base), base(G_TR), not_canonical) ||
	    !check(f, usable(tr), rights(G_TR), "say that TR is unusable (26.3.1.2)") ||
	    !check(f, type == 11 || (type == 3 && !g->long_mode), rights(G_TR), "are not of a busy TSS (26.3.1.2)") ||
	    !shape_ok(g, f, G_TR, true))
		return false;
	return !usable(ldtr) || (check(f, !(ldtr->sel & 4), selector(G_LDTR), ti) &&
				 check(f, canonical_base(c->model, ldtr->base), base(G_LDTR), not_canonical) &&
				 check(f, (ldtr->attr & 15) == 2, rights(G_LDTR), "are not of an LDT (26.3.1.2)") &&
				 shape_ok(g, f, G_LDTR, true));
}

static bool segments_ok(const struct cpu *c, const struct guest *g, struct vm_check *f)
{
	static const u8 data[] = { G_ES, G_DS, G_FS, G_GS };

	if (!system_ok(c, g, f))
		return false;
	if (g->v86)
		return segments_v86(g, f);
	for (unsigned i = G_ES; i <= G_GS; i++)
		if (i == G_FS || i == G_GS ? !check(f, canonical_base(c->model, g->seg[i].base), base(i), not_canonical)
					   : (i == G_CS || usable(&g->seg[i])) &&
						     !check(f, !(g->seg[i].base >> 32), base(i),
							    "has one of bits 63-32 set (26.3.1.2)"))
			return false;
	if (!code_ok(g, f) || !stack_ok(g, f) || !fred_rings_ok(c, g, f))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(data); i++)
		if (!data_ok(g, f, data[i]))
			return false;
	return true;
}

static bool tables_ok(const struct cpu *c, struct vm_check *f)
{
	static const char wide[] = "has one of bits 31-16 set (26.3.1.3)";

	return canonical_ok(c, f, VMCS_GUEST_GDTR_BASE) &&
	       canonical_ok(c, f, VMCS_GUEST_IDTR_BASE) &&
	       check(f, !(vmcs_get(c, VMCS_GUEST_GDTR_LIMIT) >> 16), VMCS_GUEST_GDTR_LIMIT, wide) &&
	       check(f, !(vmcs_get(c, VMCS_GUEST_IDTR_LIMIT) >> 16), VMCS_GUEST_IDTR_LIMIT, wide);
}

/* 26.3.1.4 */
static bool flow_ok(const struct cpu *c, struct vm_check *f, const struct guest *g)
{
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION);
	bool external = info & INTERRUPTION_VALID && (info >> 8 & 7) == EVENT_TYPE_EXTERNAL;
	bool wide = g->long_mode && g->seg[G_CS].attr & SEG_L;

	return check(f, wide ? canonical_base(c->model, g->rip) : !(g->rip >> 32), VMCS_GUEST_RIP,
		     "is not canonical, or above 32 bits outside of 64-bit mode (26.3.1.4)") &&
	       check(f, !(g->rflags & ~(u64)0x3f7fd7) && g->rflags & FL_1, VMCS_GUEST_RFLAGS,
		     "has a reserved bit set, or bit 1 clear (26.3.1.4)") &&
	       check(f, !g->v86 || (!g->long_mode && g->cr0 & CR0_PE), VMCS_GUEST_RFLAGS,
		     "has VM set in IA-32e or real mode (26.3.1.4)") &&
	       check(f, !external || g->rflags & FL_I, VMCS_GUEST_RFLAGS,
		     "has IF clear while an external interrupt is injected (26.3.1.4)");
}

/* 26.3.1.5: which events can be injected into a processor that sleeps? */
static bool wakes(u32 info, u64 activity)
{
	unsigned type = info >> 8 & 7, vector = info & 0xff;

	if (!(info & INTERRUPTION_VALID) || !activity)
		return true;
	if (activity == 1)
		return type == EVENT_TYPE_EXTERNAL || type == EVENT_TYPE_NMI || (type == EVENT_TYPE_OTHER && !vector) ||
		       (type == EVENT_TYPE_HARDWARE && (vector == VEC_DB || vector == VEC_MC));
	return activity == 2 && (type == EVENT_TYPE_NMI || (type == EVENT_TYPE_HARDWARE && vector == VEC_MC));
}

static bool interruptibility_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k,
				const struct guest *g)
{
	const enum vmcs_field field = VMCS_GUEST_INTERRUPTIBILITY;
	u64 block = vmcs_get(c, field);
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION), type = info >> 8 & 7;
	bool held = block & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS), valid = info & INTERRUPTION_VALID;

	return check(f, !(block & ~(u64)15) && !(block & BLOCKED_BY_SMI), field,
		     "has a reserved bit or blocking by SMI (26.3.1.5)") &&
	       check(f, (block & 3) != 3, field, "has blocking by STI and by MOV SS (26.3.1.5)") &&
	       check(f, !(block & BLOCKED_BY_STI) || g->rflags & FL_I, field,
		     "has blocking by STI with IF clear (26.3.1.5)") &&
	       check(f, !valid || type != EVENT_TYPE_EXTERNAL || !held, field,
		     "blocks the external interrupt that is injected (26.3.1.5)") &&
	       check(f, !valid || type != EVENT_TYPE_NMI ||
			     !(block & BLOCKED_BY_MOV_SS || (k->pin & PIN_VIRTUAL_NMI && block & BLOCKED_BY_NMI)),
		     field, "blocks the NMI that is injected (26.3.1.5)");
}

static bool activity_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k, const struct guest *g)
{
	u64 activity = vmcs_get(c, VMCS_GUEST_ACTIVITY);
	u64 pending = vmcs_get(c, VMCS_GUEST_PENDING_DEBUG), btf = vmcs_get(c, VMCS_GUEST_DEBUGCTL) & 2;
	bool held = vmcs_get(c, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);

	return check(f, activity <= 3, VMCS_GUEST_ACTIVITY, "is above 3 (26.3.1.5)") &&
	       check(f, activity != 1 || !seg_dpl(&g->seg[G_SS]), VMCS_GUEST_ACTIVITY,
		     "is HLT with a DPL of SS that is not 0 (26.3.1.5)") &&
	       check(f, !activity || !held, VMCS_GUEST_ACTIVITY, "is not active behind STI or MOV SS (26.3.1.5)") &&
	       check(f, wakes((u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION), activity), VMCS_GUEST_ACTIVITY,
		     "does not take the event that is injected (26.3.1.5)") &&
	       interruptibility_ok(c, f, k, g) &&
	       check(f, !(pending & ~(u64)0x1500f), VMCS_GUEST_PENDING_DEBUG, "has a reserved bit set (26.3.1.5)") &&
	       check(f, !(held || activity == 1) || !(pending >> 14 & 1) == !(g->rflags & FL_T && !btf),
		     VMCS_GUEST_PENDING_DEBUG, "has BS other than TF and BTF ask for (26.3.1.5)");
}

static bool pdptes_ok(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k, const struct guest *g)
{
	if (!(g->cr0 & CR0_PG) || !(g->cr4 & CR4_PAE) || g->long_mode || !(k->secondary & SEC_EPT))
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (!check(f, pdpte_valid(c, vmcs_get(c, vmcs_nth(VMCS_GUEST_PDPTE0, i))),
			   vmcs_nth(VMCS_GUEST_PDPTE0, i), "has a reserved bit set (26.3.1.6)"))
			return false;
	return true;
}

/* 26.3.1.5: none, or another VMCS, of the kind that the controls ask for. */
static bool link_ok(const struct cpu *c, const struct vmx_controls *k)
{
	u64 link = vmcs_get(c, VMCS_VMCS_LINK);
	u32 revision = VMCS_REVISION | (k->secondary & SEC_SHADOW ? VMCS_SHADOW : 0);

	return link == NO_VMCS || (vm_page_ok(c, link) && link != c->vmx->current && vm_read(c, link, 4) == revision);
}

/* The exit qualification of a failure (26.8): 2 PDPTEs, 4 the link pointer. -1: all is well. */
static int guest_fails(const struct cpu *c, struct vm_check *f, const struct vmx_controls *k, const struct guest *g)
{
	if (!registers_ok(c, f, k, g) || !segments_ok(c, g, f) || !tables_ok(c, f) || !flow_ok(c, f, g) ||
	    !activity_ok(c, f, k, g))
		return 0;
	if (!check(f, link_ok(c, k), VMCS_VMCS_LINK,
		   "is neither all ones nor another VMCS, a shadow or not as the controls say (26.3.1.5)"))
		return 4;
	return pdptes_ok(c, f, k, g) ? -1 : 2;
}

bool vmx_entry_check(const struct cpu *c, struct vm_check *failed)
{
	struct vmx_controls k;
	struct guest g;

	if (!vmx_operation(c) || c->vmx->current == NO_VMCS)
		return true;
	read_controls(c, &k);
	if (!controls_ok(c, failed, &k) || !host_ok(c, failed, &k))
		return false;
	g = read_guest(c, &k);
	return guest_fails(c, failed, &k, &g) < 0;
}

/* ---- the load ---- */

static void load_registers(struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	vmx_load_cr0(c, g->cr0);
	c->cr3 = g->cr3;
	c->cr4 = g->cr4;
	c->efer = g->efer;
	if (k->entry & ENTRY_LOAD_DEBUG) {
		c->dr[7] = (vmcs_get(c, VMCS_GUEST_DR7) & 0xffff23ff) | 1 << 10;
		c->debugctl = vmcs_get(c, VMCS_GUEST_DEBUGCTL);
	}
	if (k->entry & ENTRY_LOAD_PAT)
		c->pat = vmcs_get(c, VMCS_GUEST_PAT);
	if (k->entry & ENTRY_LOAD_CET)
		vmx_load_cet(c, VMCS_GUEST_S_CET);
	if (k->entry & ENTRY_LOAD_PKRS)
		c->pkrs = vmcs_get(c, VMCS_GUEST_PKRS);
	if (k->entry & ENTRY_LOAD_FRED)
		vmx_load_fred(c, VMCS_GUEST_FRED_CONFIG);
	c->sysenter_cs = vmcs_get(c, VMCS_GUEST_SYSENTER_CS);
	c->sysenter_esp = vmcs_get(c, VMCS_GUEST_SYSENTER_ESP);
	c->sysenter_eip = vmcs_get(c, VMCS_GUEST_SYSENTER_EIP);
	c->gdtr.base = vmcs_get(c, VMCS_GUEST_GDTR_BASE);
	c->gdtr.limit = (u16)vmcs_get(c, VMCS_GUEST_GDTR_LIMIT);
	c->idtr.base = vmcs_get(c, VMCS_GUEST_IDTR_BASE);
	c->idtr.limit = (u16)vmcs_get(c, VMCS_GUEST_IDTR_LIMIT);
	for (unsigned i = 0; i < 8; i++) {
		c->seg[vmx_segment(i)] = g->seg[i];
		c->seg[vmx_segment(i)].attr &= 0x1f0ff;
	}
	c->cpl = g->v86 ? 3 : (u8)seg_dpl(&g->seg[G_SS]);
	c->r[RSP] = vmcs_get(c, VMCS_GUEST_RSP);
	c->r[RIP] = g->rip;
	c->eflags = ((u32)g->rflags & 0x3f7fd7 & ~(u32)OSZAPC) | FL_1;
	cpu_set_arith(c, (u32)g->rflags);
}

/* Interruptibility, activity, pending debug exceptions, the event. */
static void load_conditions(struct cpu *c, const struct vmx_controls *k)
{
	static const u8 activities[4] = { ACTIVITY_RUN, ACTIVITY_HALT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };
	u64 block = vmcs_get(c, VMCS_GUEST_INTERRUPTIBILITY);
	struct vmx *v = c->vmx;
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION);

	c->shadow_at = 0;
	c->rep_at = 0;
	c->db_pending = 0;
	v->inject = 0;
	v->virtual_nmi_blocked = k->pin & PIN_VIRTUAL_NMI && block & BLOCKED_BY_NMI;
	c->nmi_blocked = !(k->pin & PIN_VIRTUAL_NMI) && block & BLOCKED_BY_NMI;
	c->activity = activities[vmcs_get(c, VMCS_GUEST_ACTIVITY) & 3];
	if (info & INTERRUPTION_VALID) {
		v->inject = info & (0xfff | INTERRUPTION_NESTED);
		v->inject |= INTERRUPTION_VALID;
		v->inject_error = (u32)vmcs_get(c, VMCS_ENTRY_ERROR_CODE);
		v->inject_length = (u32)vmcs_get(c, VMCS_ENTRY_INSTRUCTION_LENGTH);
		c->activity = ACTIVITY_RUN;
		return;
	}
	if (block & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		shadow(c, block & BLOCKED_BY_MOV_SS);
	c->db_pending = vmcs_get(c, VMCS_GUEST_PENDING_DEBUG) & 0x400f;
}

static void arm_timer(struct cpu *c, const struct vmx_controls *k)
{
	u64 ticks = vmcs_get(c, VMCS_PREEMPTION_TIMER), now = c->clock->now;

	c->vmx->timer_due = false;
	if (!(k->pin & PIN_TIMER))
		return;
	clock_arm(c->clock, &c->vmx->timer, now + ticks); /* the TSC counts nanoseconds */
}

static bool fails(struct cpu *c, u32 reason, u64 qualification, const char *why)
{
	c->vmx->guest = true; /* for vmx_exit, which knows what not to save */
	vmx_exits(c, reason | ENTRY_FAILURE, qualification);
	c->vmx->cause.why = why;
	return false;
}

static bool enter_guest(struct cpu *c, bool launch)
{
	struct vmx *v = c->vmx;
	struct vmx_controls k;
	struct vm_check failure = { 0 };
	struct guest g;
	u32 failed;
	int why;

	if (v->current == NO_VMCS)
		return vmx_fail(c, 0);
	if (vmcs_is_shadow(c)) { /* VMfailInvalid, too */
		cpu_set_arith(c, FL_C);
		return true;
	}
	if (c->shadow_ss && c->shadow_at && icount_after(c) == c->shadow_at + 1)
		return vmx_fail(c, ERROR_MOV_SS);
	if (launch ? vmcs_launched(c) : !vmcs_launched(c))
		return vmx_fail(c, launch ? ERROR_NOT_CLEAR : ERROR_NOT_LAUNCHED);
	read_controls(c, &k);
	if (!controls_ok(c, &failure, &k))
		return vmx_fail(c, ERROR_CONTROLS);
	if (!host_ok(c, &failure, &k))
		return vmx_fail(c, ERROR_HOST);
	g = read_guest(c, &k);
	cpu_sync(c);
	why = guest_fails(c, &failure, &k, &g);
	v->controls = k;
	if (why >= 0)
		return fails(c, VMEXIT_ENTRY_STATE, (u64)why, failure.rule);
	observe(c, EVENT_VMENTRY, g.rip, vmcs_get(c, VMCS_ENTRY_INTERRUPTION), 0, true);
	tlb_leave(c);
	load_registers(c, &k, &g);
	v->guest = true;
	if (!vmx_load_msrs(c, vmcs_get(c, VMCS_ENTRY_MSR_LOAD), (u32)vmcs_get(c, VMCS_ENTRY_MSR_LOAD_COUNT), &failed))
		return fails(c, VMEXIT_ENTRY_MSR, failed,
			     "an entry of the MSR-load area cannot be loaded (26.4)");
	load_conditions(c, &k);
	cpu_derive_registers(c);
	if (k.entry & ENTRY_LOAD_PERF)
		pmu_write_msr(c, 0x38f, vmcs_get(c, VMCS_GUEST_PERF_GLOBAL_CTRL));
	if (g.cr0 & CR0_PG && g.cr4 & CR4_PAE && !g.long_mode) {
		if (k.secondary & SEC_EPT)
			for (unsigned i = 0; i < 4; i++)
				c->pdpte[i] = vmcs_get(c, vmcs_nth(VMCS_GUEST_PDPTE0, i));
		else if (!page_load_pdptes(c, c->cr3))
			return fails(c, VMEXIT_ENTRY_STATE, 2, "a PDPTE at CR3 has a reserved bit set (26.3.1.6)");
	}
	tlb_enter(c, k.secondary & SEC_VPID ? 1 : 0, k.secondary & SEC_VPID);
	arm_timer(c, &k);
	v->trap_flag_due = false;
	v->vectoring = 0;
	vmx_apic_enter(c);
	v->pause_first = v->pause_last = 0;
	if (launch)
		vmcs_set_launched(c, true);
	attend(c, ATTN_LINE);
	return true;
}

/* The failure of an instruction goes on with the next one; a guest has its own RIP. */
static bool entry(struct cpu *c, const struct op *o, bool launch)
{
	u64 rip = next_rip(c, o);

	if (!enter_guest(c, launch))
		return false;
	if (!vmx_guest(c))
		c->r[RIP] = rip;
	return true;
}

BODY(vmlaunch) { return entry(c, o, true); }
BODY(vmresume) { return entry(c, o, false); }
GEN_JUMP(vmlaunch)
GEN_JUMP(vmresume)
