{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Room for "-worker" and "-migrate" within 63. */}}
{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "sluice.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sluice.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "sluice.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.secret" -}}
{{- required "existingSecret: name the Secret that holds DATABASE_URL (and the other secrets: see values.yaml)" .Values.existingSecret -}}
{{- end -}}

{{/* One variable from the Secret, by the name that it has there. */}}
{{- define "sluice.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "sluice.secret" .root }}
      key: {{ .name }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end -}}

{{- define "sluice.env" -}}
- name: NODE_ENV
  value: production
{{ include "sluice.fromSecret" (dict "root" . "name" "DATABASE_URL") }}
{{- if eq .Values.queue.backend "redis" }}
{{ include "sluice.fromSecret" (dict "root" . "name" "REDIS_URL") }}
{{- end }}
{{- /* Without it every API pod seals the page's sessions with a key of its own. */}}
{{ include "sluice.fromSecret" (dict "root" . "name" "SLUICE_SESSION_KEY" "optional" true) }}
{{- if .Values.trust.login }}
{{ include "sluice.fromSecret" (dict "root" . "name" "SLUICE_OIDC_CLIENT_SECRET" "optional" true) }}
{{- end }}
{{- if .Values.webhooks.signed }}
{{ include "sluice.fromSecret" (dict "root" . "name" "SLUICE_WEBHOOK_SECRETS") }}
{{- end }}
{{- if .Values.slack.enabled }}
{{ include "sluice.fromSecret" (dict "root" . "name" "SLACK_BOT_TOKEN") }}
{{ include "sluice.fromSecret" (dict "root" . "name" (ternary "SLACK_APP_TOKEN" "SLACK_SIGNING_SECRET" .Values.slack.socketMode)) }}
{{- end }}
{{- if and .Values.tracing.endpoint .Values.tracing.authenticated }}
{{ include "sluice.fromSecret" (dict "root" . "name" "OTEL_EXPORTER_OTLP_HEADERS") }}
{{- end }}
{{- if not .Values.clusters }}
{{- $secret := get (dict "basic" "PROMETHEUS_PASSWORD" "bearer" "PROMETHEUS_BEARER_TOKEN" "header" "PROMETHEUS_HEADER_VALUE") .Values.prometheus.auth.kind }}
{{- with $secret }}
{{ include "sluice.fromSecret" (dict "root" $ "name" .) }}
{{- end }}
{{- if and .Values.kiali.url .Values.kiali.authenticated }}
{{ include "sluice.fromSecret" (dict "root" . "name" "SLUICE_KIALI_TOKEN") }}
{{- end }}
{{- $traces := get (dict "bearer" "SLUICE_JAEGER_TOKEN" "header" "SLUICE_JAEGER_HEADER_VALUE") .Values.jaeger.auth.kind }}
{{- if and .Values.jaeger.url $traces }}
{{ include "sluice.fromSecret" (dict "root" . "name" $traces) }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if and (hasKey . "value") (has .name (list "DATABASE_URL" "DATABASE_OWNER_URL" "REDIS_URL" "SLUICE_SESSION_KEY" "SLUICE_OIDC_CLIENT_SECRET" "SLUICE_WEBHOOK_SECRETS" "SLACK_BOT_TOKEN" "SLACK_SIGNING_SECRET" "SLACK_APP_TOKEN" "PROMETHEUS_PASSWORD" "PROMETHEUS_BEARER_TOKEN" "PROMETHEUS_HEADER_VALUE" "SLUICE_KIALI_TOKEN" "SLUICE_JAEGER_TOKEN" "SLUICE_JAEGER_HEADER_VALUE" "OTEL_EXPORTER_OTLP_HEADERS")) }}
{{- fail (printf "extraEnv: %s is a secret; put it into existingSecret, not into values" .name) }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Pod Security "restricted", and more than it asks for. */}}
{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* root, component, values: a Deployment's pods. Both roles are one program and differ in argument, account and rights. */}}
{{- define "sluice.pod" -}}
{{- $root := .root -}}
metadata:
  annotations:
    checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "sluice.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "sluice.fullname" $root }}-{{ .component }}
  automountServiceAccountToken: true
  # Kubernetes would set SLUICE_PORT, PROMETHEUS_PORT and more for each Service of the namespace: settings that nobody made.
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "sluice.podSecurity" $root | nindent 4 }}
  containers:
    - name: {{ .component }}
      image: {{ include "sluice.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .component }}]
      ports:
        - name: http
          containerPort: 8080
      envFrom:
        - configMapRef:
            name: {{ include "sluice.fullname" $root }}
      env:
        {{- include "sluice.env" $root | nindent 8 }}
      startupProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 2
        failureThreshold: 30
      # Only "the process answers": a database that is away must not restart the workers that wait for it.
      livenessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 5
        timeoutSeconds: 4
      {{- if eq .component "api" }}
      # Endpoints are taken away at the same time as SIGTERM comes; requests still arrive for a moment.
      lifecycle:
        preStop:
          exec:
            command: [node, -e, 'setTimeout(() => {}, 5000)']
      {{- end }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- include "sluice.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if $root.Values.clusters }}
        - name: clusters
          mountPath: /etc/sluice
          readOnly: true
        {{- end }}
        {{- if or $root.Values.trust.login $root.Values.trust.ci $root.Values.trust.identities }}
        - name: trust
          mountPath: /etc/sluice-trust
          readOnly: true
        {{- end }}
        {{- if $root.Values.channels }}
        - name: channels
          mountPath: /etc/sluice-channels
          readOnly: true
        {{- end }}
        {{- with $root.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if $root.Values.clusters }}
    - name: clusters
      configMap:
        name: {{ include "sluice.fullname" $root }}-clusters
    {{- end }}
    {{- if or $root.Values.trust.login $root.Values.trust.ci $root.Values.trust.identities }}
    - name: trust
      configMap:
        name: {{ include "sluice.fullname" $root }}-trust
    {{- end }}
    {{- if $root.Values.channels }}
    - name: channels
      configMap:
        name: {{ include "sluice.fullname" $root }}-channels
    {{- end }}
    {{- with $root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "sluice.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
