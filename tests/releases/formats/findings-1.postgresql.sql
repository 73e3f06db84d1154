SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.findings (
    id character varying(64) NOT NULL,
    site character varying(64) NOT NULL,
    machine text NOT NULL,
    rule character varying(64) NOT NULL,
    version integer NOT NULL,
    stage character varying(16) NOT NULL,
    held boolean NOT NULL,
    gain_low double precision NOT NULL,
    gain_high double precision NOT NULL,
    night_ns bigint NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.findings_looks (
    site character varying(64) NOT NULL,
    machine text NOT NULL,
    night_ns bigint NOT NULL,
    tests text NOT NULL,
    trust text NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.findings_nights (
    night_ns bigint NOT NULL,
    done_ns bigint NOT NULL,
    machines integer NOT NULL,
    tests integer NOT NULL
);
CREATE SEQUENCE public.findings_nights_night_ns_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.findings_nights_night_ns_seq OWNED BY public.findings_nights.night_ns;
CREATE TABLE public.nhip_schema (
    part character varying(64) NOT NULL,
    version integer NOT NULL
);
ALTER TABLE ONLY public.findings_nights ALTER COLUMN night_ns SET DEFAULT nextval('public.findings_nights_night_ns_seq'::regclass);
INSERT INTO public.findings VALUES ('ed77169b2919ca19', 's', 'm', 'slow_start', 1, 'open', false, 20, 90, 7, '{"format": 1, "finding": {"rule": "slow_start", "version": 1, "machine": "m", "key": ["shift_start"], "passes": true, "p": 0.001, "figures": {"lost_min": 2.0}, "names": {}, "gain": [20.0, 90.0], "claims": ["unplanned_stop"], "evidence": {"start_ns": 1, "end_ns": 2, "dropped": [20500], "n": 3, "series": {"lost_min": [1.5, 2.5]}, "stops": ["stop-1"]}}, "stage": "open", "since_ns": 3, "stage_ns": 4, "passed_ns": 5, "then": [20.0, 90.0], "told": [20.0, 90.0], "held": false, "reason": "", "by": ""}');
INSERT INTO public.nhip_schema VALUES ('findings', 1);
SELECT pg_catalog.setval('public.findings_nights_night_ns_seq', 1, false);
ALTER TABLE ONLY public.findings_looks
    ADD CONSTRAINT findings_looks_pkey PRIMARY KEY (site, machine);
ALTER TABLE ONLY public.findings_nights
    ADD CONSTRAINT findings_nights_pkey PRIMARY KEY (night_ns);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.nhip_schema
    ADD CONSTRAINT nhip_schema_pkey PRIMARY KEY (part);
CREATE INDEX ix_findings_looks_night_ns ON public.findings_looks USING btree (night_ns);
CREATE INDEX ix_findings_site ON public.findings USING btree (site);
CREATE INDEX ix_findings_stage ON public.findings USING btree (stage);
