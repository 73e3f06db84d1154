SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.declarations (
    site character varying(64) NOT NULL,
    gateway character varying(64) NOT NULL,
    no integer NOT NULL,
    id character varying(64) NOT NULL,
    made_ns bigint NOT NULL,
    machine character varying(64) NOT NULL,
    start_ns bigint NOT NULL,
    end_ns bigint,
    field character varying(16) NOT NULL,
    value character varying(200) NOT NULL,
    who character varying(200) NOT NULL,
    product character varying(64) NOT NULL,
    supersedes character varying(64) NOT NULL,
    state character varying(8) NOT NULL,
    why character varying(200) NOT NULL,
    decided_ns bigint NOT NULL
);
CREATE TABLE public.nhip_schema (
    part character varying(64) NOT NULL,
    version integer NOT NULL
);
INSERT INTO public.declarations VALUES ('s', 'g', 1, 'd1', 1, 'm', 5, 9, 'reason', 'die-jam', 'Lan', '', '', 'sent', '', 0);
INSERT INTO public.nhip_schema VALUES ('declarations', 1);
ALTER TABLE ONLY public.declarations
    ADD CONSTRAINT declarations_id_key UNIQUE (id);
ALTER TABLE ONLY public.declarations
    ADD CONSTRAINT declarations_pkey PRIMARY KEY (site, gateway, no);
ALTER TABLE ONLY public.nhip_schema
    ADD CONSTRAINT nhip_schema_pkey PRIMARY KEY (part);
CREATE INDEX ix_declarations_state ON public.declarations USING btree (state);
