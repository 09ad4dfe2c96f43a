// Without the badge, which would ask a service elsewhere whether the description is valid.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#page", validatorUrl: null, deepLinking: true });
